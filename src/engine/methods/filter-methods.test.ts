/** What every method that decides filter by filter keeps, on a problem that takes no time. */
import { describe, expect, test } from 'vitest';
import { METHOD_NAMES } from '../../protocol/config';
import { findMethod } from './registry';
import { filterProblemLayers as layers, playFilters, worthless } from './testing/filter-problem';
import type { Play } from './testing/play';

const complete = ({ candidates }: Play) => candidates.filter((c) => !c.partial);
const names = METHOD_NAMES.filter((name) => findMethod(name).space === 'filters');

describe.each(names.flatMap((name) => (['entire', 'individual'] as const).map((variant) => ({ name, variant }))))(
  '$name, $variant',
  ({ name, variant }) => {
    const input = { method: { name, options: { hidden: 16, learningRate: 3e-2, variant } } };
    const once = playFilters(name, { input });

    test('the same seed gives the same search, another seed another', async () => {
      const [a, b] = [await once, await playFilters(name, { input })];
      expect(b.measured).toEqual(a.measured);
      expect(b.result).toEqual(a.result);
      const other = await playFilters(name, { input: { ...input, seed: 2 } });
      expect(other.measured).not.toEqual(a.measured);
    });

    test('killed midway and resumed, it ends as if left alone', async () => {
      const whole = await once;
      const again = await playFilters(name, { input, killAt: Math.ceil(whole.measured.length / 2) });
      expect(again.result).toEqual(whole.result);
      const figures = (played: Play) => complete(played).map((c) => [c.id, c.accuracy, c.reward]);
      expect(figures(again)).toEqual(figures(whole));
    });

    test('no layer is emptied, and overrides are kept', async () => {
      for (const { policy } of complete(await once)) {
        for (const { id, filters, fewest, most } of layers) {
          const gone = policy.channels?.[id];
          if (!gone) continue;
          expect(gone.length).toBeLessThan(filters.length);
          expect(gone.length).toBeGreaterThanOrEqual(fewest);
          expect(gone.length).toBeLessThanOrEqual(most);
          expect(policy.ratios[id]).toBeCloseTo(gone.length / filters.length, 12);
        }
      }
    });

    test('every layer is decided, within its drop bound', async () => {
      const { result } = await once;
      const best = result.best!;
      expect(Object.keys(best.policy.channels ?? {})).toEqual(layers.map((l) => l.id));
      // Alone, each of the three layers may lose the whole bound.
      expect(0.95 - best.accuracy).toBeLessThanOrEqual((variant === 'entire' ? 0.02 : 0.06) + 1e-9);
    });

    test('finds out which filters are worth keeping', async () => {
      const { channels = {} } = (await once).result.best!.policy;
      const gone = layers.flatMap(({ id }, l) => channels[id].map((i) => worthless[l].includes(i)));
      const rightly = gone.filter(Boolean).length;
      expect(rightly).toBeGreaterThan(0.8 * gone.length);
      expect(rightly).toBeGreaterThan(0.5 * worthless.flat().length);
    });

    test('never more scorings than allowed, shared out over the layers', async () => {
      const { result } = await playFilters(name, { input: { ...input, search: { episodes: 300, actors: 2, scorings: 20 } } });
      expect(result.scorings).toBeLessThanOrEqual(20);
      expect(result.best).toBeDefined();
    });
  },
);

test('a variant there is not is refused', async () => {
  await expect(playFilters('rlp', { input: { method: { name: 'rlp', options: { variant: 'both' } } } })).rejects.toThrow(
    "variant 'both' is neither 'entire' nor 'individual'",
  );
});
