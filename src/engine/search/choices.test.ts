import { expect, test } from 'vitest';
import { nearestWidth, type WidthChoices } from './budget';
import { tiltedRatios, uniformRatio } from './choices';

test('the uniform ratio meets the budget as the environment rounds it, ties included', () => {
  // 16 channels in steps of 8: ratio 0.25 lies between 16 and 8, and the wider one is taken.
  const choices: WidthChoices[] = [
    { channels: 16, widths: [16, 8] },
    { channels: 120, widths: Array.from({ length: 15 }, (_, i) => 120 - 8 * i) },
  ];
  for (const limit of [0.4, 0.55, 0.6, 0.7, 0.8, 0.9]) {
    const cost = (kept: readonly number[]): number => (kept[0] / 16 + kept[1] / 120) / 2 / limit;
    const ratio = uniformRatio(choices, { cost, budget: { ceiling: 1, floor: 0 } });
    const at = (r: number): number => cost(choices.map((c) => nearestWidth(c, r)));
    expect(at(ratio)).toBeLessThanOrEqual(1);
    if (ratio > 0.01) expect(at(Math.round(100 * ratio - 1) / 100)).toBeGreaterThan(1);
  }
});

test('tilted ratios change evenly with depth, one way and the other, and just meet the budget', () => {
  const choices: WidthChoices[] = Array.from({ length: 5 }, () => ({
    channels: 1000,
    widths: Array.from({ length: 951 }, (_, i) => 1000 - i),
  }));
  const relativeCost = (ratios: readonly number[]): number => ratios.reduce((sum, r) => sum + 1 - r, 0) / 5 / 0.6;
  const [early, late] = tiltedRatios(choices, relativeCost);
  // A mean of 0.4, from one and a half times that to half of it.
  for (const [i, r] of early.entries()) expect(r).toBeCloseTo([0.6, 0.5, 0.4, 0.3, 0.2][i], 6);
  for (const [i, r] of late.entries()) expect(r).toBeCloseTo([0.2, 0.3, 0.4, 0.5, 0.6][i], 6);
  // No group goes beyond its narrowest width, and the others make up for it.
  const [capped] = tiltedRatios([{ channels: 10, widths: [10, 9] }, ...choices.slice(1)], relativeCost);
  expect(capped[0]).toBeCloseTo(0.1, 9);
  expect(relativeCost(capped)).toBeCloseTo(1, 6);
  expect(tiltedRatios(choices, (ratios) => 2 - ratios[0])).toEqual([]);
  expect(tiltedRatios(choices.slice(0, 1), relativeCost)).toEqual([]);
});
