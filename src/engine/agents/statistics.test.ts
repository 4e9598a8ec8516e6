import { expect, test } from 'vitest';
import { average, explainedVariance, movedAverage, standardized, variance } from './statistics';

test('means and variances by hand', () => {
  expect(average([1, 2, 6])).toBe(3);
  expect(variance([1, 2, 6])).toBeCloseTo((4 + 1 + 9) / 3, 12);
  const [a, b] = standardized([1, 3]);
  expect(a).toBeCloseTo(-1, 6);
  expect(b).toBeCloseTo(1, 6);
  expect(standardized([2, 2])).toEqual([0, 0]);
});

test('explained variance: 1 for no errors, 0 where errors vary as targets do, unknown where targets are equal', () => {
  expect(explainedVariance([1, 3], [0, 0])).toBe(1);
  expect(explainedVariance([1, 3], [5, 7])).toBe(0);
  expect(explainedVariance([1, 3], [0, 4])).toBe(-3);
  expect(explainedVariance([2, 2], [0, 1])).toBeNaN();
});

test('a moving average starts at its first value', () => {
  expect(movedAverage(undefined, 8, 0.25)).toBe(8);
  expect(movedAverage(4, 8, 0.25)).toBe(5);
});
