/** Two-stage compute-constrained PPO: the default. The same agent picks ratios, then bits. */
import { type AgentSettings, configSchema } from '../../protocol/config';
import type { Neighbourhood } from '../agents/neighbours';
import { PpoAgent } from '../agents/ppo';
import { PPO_DEFAULTS, PPO_IMPROVED, type PpoOptions } from '../agents/ppo-options';
import type { StageProblem } from '../agents/stage-problem';
import type { AgentContext, Method } from './method';
import { type MethodOptions, ownOptions } from './options';

/** Options of the method that are the agent's own: its four parts and the named improvements (docs/methods.md). */
export const PPO_OPTIONS: readonly string[] = [
  'clip',
  'slowTargets',
  'targetNoise',
  'perStepUpdates',
  'normalizeQ',
  'normalizeRewards',
  'stateBaseline',
  'resampleActions',
  'criticScreening',
  'screeningStarts',
  'aroundBest',
  'changedShare',
  'widenRepeats',
  'updatesPerStep',
  'warmUp',
  'returnSteps',
];

function createAgent({ backend, observationSize, random, settings, options }: AgentContext, improved: Partial<PpoOptions> = {}): PpoAgent {
  const before: PpoOptions = { ...PPO_DEFAULTS, ...settings, ...improved };
  const optional = Object.fromEntries(Object.entries(before).filter(([name]) => PPO_OPTIONS.includes(name)));
  return new PpoAgent(backend, observationSize, random, {
    ...before,
    ...(ownOptions(options, optional as MethodOptions) as Partial<PpoOptions>),
  });
}

export const twoStagePpo: Method = {
  name: 'two-stage-ppo',
  title: 'Two-stage PPO',
  description: 'Compute-constrained PPO picks each group’s prune ratio, then each layer’s bits; every step is scored.',
  source: 'Zhan, Lin, Cao: Deep Model Compression Via Two-Stage Deep Reinforcement Learning',
  credit: 'step',
  options: PPO_OPTIONS,
  createAgent: (context) => createAgent(context),
};

/**
 * σ falls from a third to a seventh of the range over a tenth of the planned episodes. Nine in ten episodes try a policy near the best one so far, of
 * a few the one that the critic thinks most of; the others explore around the actor's. Where there is no budget to keep, some five actions of an
 * episode are really changed. Chosen on regressions of measured ResNet-20 policies (docs/methods.md says how), not on the known-answer problems.
 */
const EXPLORATION = { start: 0.35, floor: 0.15, share: 0.1 };
const DRAWS = 8;
const AROUND_BEST = 0.9;
const CHANGED = 5;

/**
 * The same agent, credited with what the whole policy reached: one scoring an episode instead of one a layer, so at an equal number of
 * scorings it tries as many whole policies as random search does. It starts from the best of three simple policies, explores around what it has
 * learnt with falling noise, and lets the critic choose among several draws (docs/methods.md, variants).
 */
export const episodicPpo: Method = {
  name: 'episodic-ppo',
  title: 'Two-stage PPO, credited by episode',
  description: 'The two-stage PPO with one scoring an episode, from simple policies: many more whole policies at the same budget.',
  source: 'Espalier’s variant of two-stage PPO; reward at the end as in AMC (He et al. 2018)',
  credit: 'episode',
  startsFromUniform: true,
  options: PPO_OPTIONS,
  createAgent: createEpisodicPpo,
};

/** The improved agent with its schedules over the planned episodes, fitted to the policies that were scored first. */
export function createEpisodicPpo(context: AgentContext, ofMethod: Partial<PpoOptions> = {}): PpoAgent {
  const own: Partial<PpoOptions> = {
    ...PPO_IMPROVED,
    initialPolicies: context.initialPolicies,
    noise: {
      start: EXPLORATION.start,
      decay: (EXPLORATION.floor / EXPLORATION.start) ** (1 / Math.max(1, EXPLORATION.share * context.episodes)),
      floor: EXPLORATION.floor,
    },
    warmUp: Math.round(0.15 * context.episodes * context.steps),
    criticScreening: DRAWS,
    aroundBest: AROUND_BEST,
    changedShare: Math.min(1, CHANGED / context.steps),
    widenRepeats: true,
    neighbourhood: neighbourhoodOf(context.problem),
    screeningStarts: Math.round(0.15 * context.episodes * context.steps),
    gamma: 1,
  };
  return createAgent(context, { ...own, ...ofMethod, ...setByConfig(context.settings) });
}

function neighbourhoodOf({ levels, relativeCost, tasks }: StageProblem): Neighbourhood | undefined {
  const costs = tasks ? tasks.map((t) => [t.name, t.relativeCost] as const) : relativeCost ? [['', relativeCost] as const] : [];
  return costs.length > 0 ? { levels, costs: new Map(costs) } : undefined;
}

/** Settings that the config gives another value than their general default: they go before the method's own. */
function setByConfig(settings: AgentSettings): Partial<AgentSettings> {
  const general: Readonly<Record<string, unknown>> = configSchema.parse({ model: 'any.onnx' }).agent;
  return Object.fromEntries(Object.entries(settings).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(general[name])));
}
