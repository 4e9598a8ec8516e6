/** What every method that masks single weights keeps, on a masking problem that takes no time. */
import { describe, expect, test } from 'vitest';
import { METHOD_NAMES } from '../../protocol/config';
import type { Policy } from '../../protocol/policy';
import { findMethod } from './registry';
import { maskCostOf, playMasks, unitsFor } from './testing/mask-problem';
import type { Play } from './testing/play';

const complete = ({ candidates }: Play) => candidates.filter((c) => !c.partial);
const shareLeft = (policy: Policy): number => maskCostOf(policy).effectiveParams / maskCostOf(policy).params;

/** The best that one threshold for all layers gives within the budget. */
const uniform = playMasks('uniform');

describe.each(METHOD_NAMES.filter((name) => findMethod(name).space === 'weights'))('%s', (name) => {
  const once = playMasks(name);

  test('the same seed gives the same search, another seed another', async () => {
    const [a, b] = [await once, await playMasks(name)];
    expect(b.measured).toEqual(a.measured);
    expect(b.result).toEqual(a.result);
    const other = await playMasks(name, { input: { seed: 2 } });
    expect(other.measured).not.toEqual(a.measured);
  });

  test('killed midway and resumed, it ends as if left alone', async () => {
    const whole = await once;
    const again = await playMasks(name, { killAt: Math.ceil(whole.measured.length / 2) });
    expect(again.result).toEqual(whole.result);
    const figures = (played: Play) => complete(played).map((c) => [c.id, c.accuracy, c.reward]);
    expect(figures(again)).toEqual(figures(whole));
  });

  test('no layer is masked to nothing, and sparsities are those allowed', async () => {
    const { candidates, config } = await once;
    const units = unitsFor(config);
    for (const { policy } of candidates) {
      for (const [layer, sparsity] of Object.entries(policy.sparsity ?? {})) {
        const unit = units.find((u) => u.name === layer)!;
        expect(unit.levels.map((l) => l.sparsity)).toContain(sparsity);
        expect(Math.round(sparsity * unit.weights)).toBeLessThan(unit.weights);
      }
    }
  });

  test('every complete policy keeps the budget', async () => {
    const played = await once;
    expect(complete(played).length).toBeGreaterThan(0);
    for (const { policy } of complete(played)) expect(shareLeft(policy)).toBeLessThanOrEqual(0.4);
  });

  test('structured figures stay the original’s; effective ones count the masks', async () => {
    const { candidates } = await once;
    for (const { cost, policy } of candidates) {
      expect(cost.params).toBe(maskCostOf({ ratios: {}, bits: {} }).params);
      expect(cost.effectiveParams).toBe(maskCostOf(policy).effectiveParams);
    }
  });

  test('never more scorings than allowed', async () => {
    const { result, measured } = await once;
    // What is proposed again is not measured again, and counts once.
    expect(result.scorings).toBe(new Set(measured.map((m) => JSON.stringify(m))).size);
    const { result: limited } = await playMasks(name, { input: { search: { episodes: 60, actors: 2, scorings: 25 } } });
    expect(limited.scorings).toBeLessThanOrEqual(25);
    expect(limited.best).toBeDefined();
  });

  test('finds a better policy than one level for all layers', async () => {
    const best = (await once).result.best!;
    expect(best.accuracy).toBeGreaterThan((await uniform).result.best!.accuracy + 0.005);
  });
});
