/** Two-stage compute-constrained PPO: the default. The same agent picks ratios, then bits. */
import { PpoAgent, type PpoOptions } from '../agents/ppo';
import type { AgentContext, Method } from './method';

/** Options of the method that are the agent's own: its four parts and the named improvements (docs/methods.md). */
const AGENT_OPTIONS = ['clip', 'slowTargets', 'targetNoise', 'perStepUpdates', 'normalizeQ', 'stateBaseline', 'criticScreening', 'screeningStarts'];

function createAgent({ backend, observationSize, random, settings, options }: AgentContext): PpoAgent {
  const own = Object.fromEntries(Object.entries(options).filter(([name]) => AGENT_OPTIONS.includes(name)));
  return new PpoAgent(backend, observationSize, random, { ...settings, ...(own as Partial<PpoOptions>) });
}

export const twoStagePpo: Method = {
  name: 'two-stage-ppo',
  title: 'Two-stage PPO',
  description: 'Compute-constrained PPO picks each group’s prune ratio, then each layer’s bits; every step is scored.',
  source: 'Zhan, Lin, Cao: Deep Model Compression Via Two-Stage Deep Reinforcement Learning',
  credit: 'step',
  createAgent,
};

/**
 * The same agent, credited with what the whole policy reached: one scoring an episode instead of one a layer, so at an equal number of
 * scorings it tries as many whole policies as random search does. Each action is judged against its own state's (stateBaseline).
 */
export const episodicPpo: Method = {
  name: 'episodic-ppo',
  title: 'Two-stage PPO, credited by episode',
  description: 'The two-stage PPO with one scoring an episode: many more whole policies at the same budget.',
  source: 'Espalier’s variant of two-stage PPO; reward at the end as in AMC (He et al. 2018)',
  credit: 'episode',
  createAgent: (context) => createAgent({ ...context, options: { stateBaseline: true, criticScreening: 4, ...context.options } }),
};
