/** AMC: a DDPG agent picks each group's ratio within the budget; one scoring an episode. */
import type { Config } from '../../protocol/config';
import { DDPG_DEFAULTS, DdpgAgent } from '../agents/ddpg';
import type { AgentContext, Method, MethodSettings } from './method';
import { ownOptions } from './options';

/** The paper: 100 of 400 episodes. */
const WARM_UP_SHARE = 0.25;

/** Names of the agent's options: those of its noise are flat. */
const DDPG_OPTIONS = Object.keys(DDPG_DEFAULTS).flatMap((name) => (name === 'noise' ? ['sigma', 'sigmaDecay', 'sigmaFloor'] : [name]));

/** Of AMC and of what is made of it; `pruner` is read where the settings of methods are. */
export const AMC_OPTIONS: readonly string[] = [...DDPG_OPTIONS, 'pruner'];

/** DDPG with AMC's defaults and the options that the config gives. */
export function createDdpg({ observationSize, steps, random, options, scoredEpisodes }: AgentContext): DdpgAgent {
  const { noise, ...plain } = DDPG_DEFAULTS;
  const { sigma, sigmaDecay, sigmaFloor, ...own } = ownOptions(options, {
    ...plain,
    warmUp: Math.round(WARM_UP_SHARE * scoredEpisodes),
    sigma: noise.start,
    sigmaDecay: noise.decay,
    sigmaFloor: noise.floor,
  });
  return new DdpgAgent(observationSize, steps, random, { ...own, noise: { start: sigma, decay: sigmaDecay, floor: sigmaFloor } });
}

/** Pruning by magnitude with plain least-squares reconstruction of the consumers. */
export const AMC_PRUNER: MethodSettings = { selection: 'l1', refit: false };

export const amc: Method = {
  name: 'amc',
  title: 'AMC',
  description: 'A DDPG agent picks each group’s ratio, bounded by the budget; magnitude pruning, one scoring an episode.',
  source: 'He et al. 2018, AMC: AutoML for Model Compression and Acceleration on Mobile Devices',
  credit: 'episode-chain',
  observation: 'amc',
  // −Error under a budget, which is the accuracy up to a constant; −Error·log(FLOPs) without.
  settings: (config) => ({ ...AMC_PRUNER, reward: hasBudget(config) ? 'accuracy' : 'amc-flops' }),
  options: AMC_OPTIONS,
  createAgent: createDdpg,
};

/** Whether the goal bounds what stage 1 may do. A limit on bytes does where nothing is quantised afterwards; else it bounds the bits. */
const hasBudget = ({ goal, stages }: Pick<Config, 'goal' | 'stages'>): boolean =>
  goal.flops !== undefined || goal.params !== undefined || (goal.bytes !== undefined && !stages.quantize);
