/** Lottery tickets as a Markov decision process: tabular Q-learning over masks, then rewinding. */
import { TABULAR_Q_DEFAULTS, TabularQAgent } from '../agents/tabular-q';
import { TICKET_OPTIONS } from './lottery-ticket';
import type { AgentContext, Method } from './method';
import { ownOptions } from './options';

/** Share of the episodes over which ε falls. */
const EXPLORING = 0.6;

/** A mask has the same accuracy whenever it is measured: nothing is there to be averaged, and the whole step is right. */
const ALPHA = 1;

/** What of the agent may be set. Its `initial` may not: in this method that is the file of the weights to rewind to. */
const { actions: _, initial, ...AGENT } = TABULAR_Q_DEFAULTS;

/** One action for each layer whose rows may go: as many numbers as are observed. */
function createAgent({ random, options, observationSize, episodes }: AgentContext): TabularQAgent {
  const own = ownOptions(options, {
    ...AGENT,
    alpha: ALPHA,
    epsilonEpisodes: Math.max(1, Math.round(EXPLORING * episodes)),
  });
  return new TabularQAgent(random, { ...own, initial, actions: observationSize });
}

export const lotteryMdp: Method = {
  name: 'lottery-mdp',
  title: 'Lottery tickets as an MDP',
  description: 'Tabular Q-learning deletes rows of weight matrices; what is kept goes back to its initial values and is trained again.',
  source: 'Salvi, Pruning Neural Networks with Lottery Tickets in a MDP Approach',
  credit: 'step',
  space: 'rows',
  bitsBy: 'uniform',
  settings: () => ({ reward: 'accuracy' }),
  options: [...TICKET_OPTIONS, 'steps', ...Object.keys(AGENT)],
  createAgent,
};
