/** Baselines under the same interface: what an agent must be better than. */
import { RandomAgent } from '../agents/random-agent';
import { UniformAgent } from '../agents/uniform-agent';
import type { Method } from './method';

export const uniform: Method = {
  name: 'uniform',
  title: 'Uniform',
  description: 'The same ratio for every group, the same bits for every layer: as much as the budget asks.',
  source: 'baseline',
  credit: 'episode',
  episodes: 1,
  options: [],
  createAgent: ({ uniformAction }) => new UniformAgent(uniformAction),
};

export const randomSearch: Method = {
  name: 'random-search',
  title: 'Random search',
  description: 'Policies drawn at random within the budget; the best one is kept.',
  source: 'baseline',
  credit: 'episode',
  options: [],
  createAgent: ({ random }) => new RandomAgent(random),
};

export const randomRatios: Method = {
  name: 'random-ratios',
  title: 'Random ratios',
  description: 'One policy drawn at random within the budget: what a single draw gives, before any search.',
  source: 'baseline',
  credit: 'episode',
  episodes: 1,
  options: [],
  createAgent: ({ random }) => new RandomAgent(random),
};
