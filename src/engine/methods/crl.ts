/** CRL: PPO-Lagrangian maximises accuracy while a price on the cost keeps it within the budget. */
import { LAGRANGIAN_DEFAULTS, PpoLagrangianAgent } from '../agents/ppo-lagrangian';
import type { Method } from './method';
import { ownOptions } from './options';
import { createEpisodicPpo, PPO_OPTIONS } from './two-stage-ppo';

/**
 * Which policy is best depends on the price, and that is still being learned: fewer episodes than `episodic-ppo` has explore around it,
 * with fewer changes and draws, and none of them is brought within the budget: what policies cost is what the price is learnt from.
 */
const AROUND_BEST = 0.5;
const DRAWS = 4;
const CHANGED = 4;

export const crl: Method = {
  name: 'crl',
  title: 'Constrained RL',
  description:
    'PPO with a learned price on the cost, for any budget that can be evaluated: FLOPs, parameters, bytes or measured milliseconds.',
  source: 'Malik et al. 2021; survey “Reinforcement Learning for Neural Network Compression”',
  credit: 'episode',
  bounds: 'free',
  // A policy within the budget is known from the start; the agent's own may need many episodes to get there.
  startsFromUniform: true,
  settings: () => ({ reward: 'accuracy' }),
  options: [...PPO_OPTIONS, ...Object.keys(LAGRANGIAN_DEFAULTS)],
  createAgent: (context) =>
    new PpoLagrangianAgent(
      createEpisodicPpo(context, {
        criticScreening: DRAWS,
        aroundBest: AROUND_BEST,
        changedShare: Math.min(1, CHANGED / context.steps),
        neighbourhood: undefined,
      }),
      ownOptions(context.options, { lambda: context.lambda, lambdaRate: LAGRANGIAN_DEFAULTS.lambdaRate }),
    ),
};
