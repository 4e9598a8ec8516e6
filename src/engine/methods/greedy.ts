/** Sensitivity-greedy: what each layer loses alone decides how much of it goes. */
import { GreedyAgent, greedyEpisodes } from '../agents/greedy-agent';
import { UserError } from '../errors';
import type { EpisodePlan, Method } from './method';

/** Levels tried for each step, where there are scorings enough. */
const MOST_LEVELS = 4;

/** Levels for each step that so many episodes have room for; 0 where not even one. */
function levelsWithin({ steps, actors, wanted }: EpisodePlan): number {
  let levels = MOST_LEVELS;
  while (levels > 0 && greedyEpisodes(steps, levels, actors) > wanted) levels--;
  return levels;
}

export const greedy: Method = {
  name: 'greedy',
  title: 'Sensitivity-greedy',
  description:
    'Each layer is reduced alone at a few levels; then what loses least for the cost it saves goes first, until the budget is met.',
  source: 'baseline; sensitivity analysis as in Li et al. 2017, Pruning Filters for Efficient ConvNets',
  credit: 'episode',
  bounds: 'free',
  episodes: (plan) => greedyEpisodes(plan.steps, Math.max(1, levelsWithin(plan)), plan.actors),
  options: [],
  createAgent: ({ problem, steps, actors, scoredEpisodes }) => {
    const levels = levelsWithin({ steps, actors, wanted: scoredEpisodes });
    if (levels === 0) {
      throw new UserError(
        `method greedy scores each of the ${steps} layers alone, which needs ${greedyEpisodes(steps, 1, actors)} episodes, and ${scoredEpisodes} are allowed`,
        'Raise "search.episodes" and "search.scorings", or decide fewer layers ("layers": skip).',
      );
    }
    return new GreedyAgent(problem, levels);
  },
};
