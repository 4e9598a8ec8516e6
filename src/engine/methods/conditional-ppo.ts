/** CACP's idea with the agent of `episodic-ppo`: the target is in its state, and one search serves several targets. */
import { cacpTargets, middleTarget } from './cacp';
import type { Method } from './method';
import { createEpisodicPpo, PPO_OPTIONS } from './two-stage-ppo';

export const conditionalPpo: Method = {
  name: 'conditional-ppo',
  title: 'Conditional PPO',
  description: 'One search finds a model for each of several targets, as CACP’s does, with the PPO agent credited by episode.',
  source: 'Espalier’s variant of CACP (Liu et al. 2021, Conditional Automated Channel Pruning for Deep Neural Networks)',
  credit: 'episode',
  startsFromUniform: true,
  settings: (config) => ({ reward: 'accuracy', flops: middleTarget(cacpTargets(config)) }),
  targets: cacpTargets,
  // Bits have no targets.
  bitsBy: 'episodic-ppo',
  options: [...PPO_OPTIONS, 'targets'],
  // The target is the last number of an observation.
  createAgent: (context) => createEpisodicPpo(context, { taskNumbers: 1 }),
};
