import { expect, test } from 'vitest';
import { Random } from '../random';
import { neighbour } from './neighbours';

// Three layers of which half may stay: one with two widths, one with four, one with eight.
const levels = [[0, 0.5], [0, 0.25, 0.5, 0.75], Array.from({ length: 8 }, (_, i) => i / 8)];
const relativeCost = (actions: readonly number[]): number => (2 * actions.reduce((sum, a) => sum + 1 - a, 0)) / 3;

test('a neighbour is made of the steps’ own levels, keeps the budget and leaves no whole level of it', () => {
  const random = new Random(1);
  for (let i = 0; i < 500; i++) {
    const actions = neighbour(levels, [0.5, 0.5, 0.5], 1 + (i % 3), relativeCost, random);
    for (const [step, a] of actions.entries()) expect(levels[step]).toContain(a);
    expect(relativeCost(actions)).toBeLessThanOrEqual(1 + 1e-12);
    // Steps that were not changed have taken what was left: at most the others, three at most, could still rise.
    const couldRise = actions.filter((a, step) => {
      const level = levels[step].indexOf(a);
      return level > 0 && relativeCost(actions.map((other, j) => (j === step ? levels[step][level - 1] : other))) <= 1;
    });
    expect(couldRise.length).toBeLessThanOrEqual(1 + (i % 3));
  }
});

test('few changes stay near, and every step has its turn, the first as often as the last', () => {
  const random = new Random(2);
  const from = [0.5, 0.5, 0.5];
  const moved = [0, 0, 0];
  const policies = new Set<string>();
  for (let i = 0; i < 600; i++) {
    const actions = neighbour(levels, from, 1, relativeCost, random);
    policies.add(actions.join());
    actions.forEach((a, step) => {
      if (a !== from[step]) moved[step]++;
    });
    for (const [step, a] of actions.entries()) expect(Math.abs(a - from[step])).toBeLessThanOrEqual(0.5);
  }
  expect(policies.size).toBeGreaterThanOrEqual(5);
  for (const count of moved) expect(count).toBeGreaterThan(100);
});

test('steps that leave nothing to choose stay, and a budget out of reach gives the deepest policy', () => {
  const random = new Random(3);
  const fixed = neighbour([[0], [0, 0.5], [0, 0.5]], [0, 0.5, 0.5], 2, () => 2, random);
  expect(fixed).toEqual([0, 0.5, 0.5]);
});

test('the same generator, the same neighbour', () => {
  const draw = (seed: number): string => neighbour(levels, [0.5, 0.5, 0.5], 2, relativeCost, new Random(seed)).join();
  expect(draw(4)).toBe(draw(4));
  expect(new Set([4, 5, 6, 7, 8, 9].map(draw)).size).toBeGreaterThan(1);
});
