/**
 * CACP's idea with the agent of `episodic-ppo`: the target is in its state, and one search serves several targets. What is found good for one
 * is tried, scaled to their budgets, for the others.
 */
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
  createAgent: (context) => {
    const { tasks = [], levels } = context.problem;
    // The target is the last number of an observation.
    return createEpisodicPpo(context, { taskNumbers: 1, transfer: { tasks, highest: levels.map((l) => l[l.length - 1]) } });
  },
};
