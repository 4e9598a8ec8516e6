import { expect, test } from 'vitest';
import { scaledPolicy } from './scaled-policy';

/** Three layers that cost 1, 2 and 4; the budget is `share` of that. */
const costs = [1, 2, 4];
const task = (share: number) => ({
  name: String(share),
  relativeCost: (actions: readonly number[]) => actions.reduce((sum, a, i) => sum + costs[i] * (1 - a), 0) / (7 * share),
});
const highest = [0.9, 0.9, 0.8];

test('the same proportions, as little as the budget allows', () => {
  // Removed: 0.2·1 + 0.1·2 + 0.3·4 = 1.6 of 7. A budget of 4/7 wants 3 removed: times 1.875.
  const actions = [0.2, 0.1, 0.3];
  for (const [i, a] of scaledPolicy(actions, task(4 / 7), highest)!.entries()) expect(a).toBeCloseTo(actions[i] * 1.875, 6);
  // One of 6/7 wants 1 removed: times 0.625.
  for (const [i, a] of scaledPolicy(actions, task(6 / 7), highest)!.entries()) expect(a).toBeCloseTo(actions[i] * 0.625, 6);
});

test('no step goes beyond its highest action: the others make up for it', () => {
  // 0.8·4 = 3.2 from the last; 4 removed wants 0.8 more from the first two, which have 0.1·f·(1 + 2).
  const scaled = scaledPolicy([0.1, 0.1, 0.6], task(3 / 7), highest)!;
  expect(scaled[2]).toBe(0.8);
  expect(scaled[0]).toBeCloseTo(0.8 / 3, 6);
  expect(scaled[1]).toBeCloseTo(0.8 / 3, 6);
});

test('what is met without pruning stays whole; what cannot be met is nothing', () => {
  expect(scaledPolicy([0.2, 0.1, 0.3], task(1), highest)!.every((a) => a < 1e-6)).toBe(true);
  expect(scaledPolicy([0, 0, 0.3], task(0.3), highest)).toBeUndefined();
});
