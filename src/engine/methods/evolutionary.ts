/** Evolutionary search at the agents' number of scorings. */
import { EVOLUTIONARY_DEFAULTS, EvolutionaryAgent } from '../agents/evolutionary-agent';
import type { Method } from './method';
import { ownOptions } from './options';

/** Share of the planned episodes that the first population may take. */
const POPULATION_SHARE = 0.25;

export const evolutionary: Method = {
  name: 'evolutionary',
  title: 'Evolutionary search',
  description: 'Regularised evolution over whole policies: tournament, crossover, mutation; begins around the uniform policy.',
  source: 'baseline; Real et al. 2019, Regularized Evolution for Image Classifier Architecture Search',
  credit: 'episode',
  options: [...Object.keys(EVOLUTIONARY_DEFAULTS), 'start'],
  createAgent: ({ random, steps, options, uniformAction, scoredEpisodes }) => {
    const { start, ...own } = ownOptions(options, {
      ...EVOLUTIONARY_DEFAULTS,
      population: Math.min(EVOLUTIONARY_DEFAULTS.population, Math.max(4, Math.round(POPULATION_SHARE * scoredEpisodes))),
      start: 'uniform',
    });
    return new EvolutionaryAgent(steps, random, { ...own, ...(start === 'uniform' ? { start: uniformAction } : {}) });
  },
};
