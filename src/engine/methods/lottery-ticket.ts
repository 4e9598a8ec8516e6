/** Lottery tickets: iterative magnitude pruning with rewinding; no agent decides. */
import { uniform } from './baselines';
import type { Method } from './method';

export const lotteryTicket: Method = {
  name: 'lottery-ticket',
  title: 'Lottery ticket',
  description: 'The smallest weights are masked, the others go back to their initial values and are trained again, round after round.',
  source: 'baseline; Frankle, Carbin 2019, The Lottery Ticket Hypothesis: Finding Sparse, Trainable Neural Networks',
  credit: 'episode',
  episodes: 1,
  space: 'tickets',
  bitsBy: 'uniform',
  createAgent: uniform.createAgent,
};
