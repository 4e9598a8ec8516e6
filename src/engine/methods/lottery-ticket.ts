/** Lottery tickets: iterative magnitude pruning with rewinding; no agent decides. */
import type { TicketOptions } from '../search/ticket-training';
import { uniform } from './baselines';
import type { Method } from './method';

/** Of both lottery-ticket methods. */
const COMMON: Readonly<Record<keyof TicketOptions, true>> = {
  sparsity: true,
  epochs: true,
  learningRate: true,
  initial: true,
  rewindEpochs: true,
  mask: true,
  baseline: true,
};
export const TICKET_OPTIONS: readonly string[] = Object.keys(COMMON);

export const lotteryTicket: Method = {
  name: 'lottery-ticket',
  title: 'Lottery ticket',
  description: 'The smallest weights are masked, the others go back to their initial values and are trained again, round after round.',
  source: 'baseline; Frankle, Carbin 2019, The Lottery Ticket Hypothesis: Finding Sparse, Trainable Neural Networks',
  credit: 'episode',
  episodes: 1,
  space: 'tickets',
  bitsBy: 'uniform',
  options: [...TICKET_OPTIONS, 'rounds'],
  createAgent: uniform.createAgent,
};
