import { expect, test } from 'vitest';
import { nearestWidth, type WidthChoices } from './budget';
import { uniformRatio } from './choices';

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
