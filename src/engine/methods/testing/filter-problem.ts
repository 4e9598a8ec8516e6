/** A filter pruning problem that takes no time: three layers whose filters are worth what their first weight says. */
import type { Config } from '../../../protocol/config';
import type { ModelCost, Policy } from '../../../protocol/policy';
import { Random } from '../../random';
import { type FilterLayer, type FilterRemovals, filterSearch } from '../../search/filter-stage';
import { findMethod } from '../registry';
import { type Play, type PlayOptions, playStage } from './play';

const ACCURACY = 0.95;
const COUNTS = [8, 12, 10];

/** A filter is worth much or nearly nothing; its first number says which. */
const worths = COUNTS.map((count, l) => {
  const random = new Random(l + 1);
  return Array.from({ length: count }, () => (random.uniform() < 0.4 ? 0.02 : 0.0005));
});

export const filterProblemLayers: FilterLayer[] = worths.map((own, l) => {
  const random = new Random(l + 11);
  return {
    id: `g${l}`,
    filters: own.map((w) => [w > 0.01 ? 0.9 : 0.1, random.uniform(), random.uniform()]),
    fewest: l === 1 ? 2 : 0,
    most: own.length - 1,
  };
});

/** Filters that are worth next to nothing: what should go. */
export const worthless = worths.map((own) => own.flatMap((w, i) => (w > 0.01 ? [] : [i])));

const lossOf = (removals: FilterRemovals): number =>
  filterProblemLayers.reduce((sum, { id }, l) => sum + (removals[id] ?? []).reduce((s, i) => s + worths[l][i], 0), 0);

const costOf = ({ channels = {} }: Policy): ModelCost => {
  const whole = COUNTS.reduce((a, c) => a + c, 0);
  const kept = whole - Object.values(channels).reduce((sum, gone) => sum + gone.length, 0);
  return {
    macs: 100 * kept,
    effectiveMacs: 100 * kept,
    params: 10 * kept,
    effectiveParams: 10 * kept,
    weightBytes: 40 * kept,
    channels: kept,
  };
};

export function playFilters(name: Config['method']['name'], options: PlayOptions = {}): Promise<Play> {
  const whole = costOf({ ratios: {}, bits: {} });
  return playStage(
    name,
    {
      input: { goal: { maxAccuracyDrop: 0.02 }, search: { episodes: 210, actors: 2 } },
      original: {
        accuracy: ACCURACY,
        flops: whole.macs,
        params: whole.params,
        bytes: whole.weightBytes,
        sparsity: 0,
        channels: whole.channels,
      },
      run: (context, count) => {
        const { variant } = findMethod(name).filters!(context.config);
        const settled: Record<string, readonly number[]> = {};
        return filterSearch(context, {
          layers: filterProblemLayers,
          variant,
          cost: costOf,
          measure: async (index, removed) => {
            const removals = { ...settled, [filterProblemLayers[index].id]: removed };
            count(removals);
            return { accuracy: Math.max(0, ACCURACY - lossOf(removals)) };
          },
          settle: async (index, removed) => {
            settled[filterProblemLayers[index].id] = removed;
          },
          together: async (removals) => Math.max(0, ACCURACY - lossOf(removals)),
          keep: async () => {},
        });
      },
    },
    { options: { hidden: 16, learningRate: 3e-2, ...options.options }, ...options },
  );
}
