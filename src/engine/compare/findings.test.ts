import { expect, test } from 'vitest';
import type { CellResult } from './cell';
import { findings } from './findings';

const cell = (method: string, seed: number, accuracy: number, completePolicies = 1, scorings = completePolicies): CellResult =>
  ({ method, seed, accuracy, effectiveFlops: 0.5, effectiveParams: 0.4, completePolicies, scorings }) as CellResult;

test('searches that end alike in every seed are named, with how many policies they tried', () => {
  const found = findings([
    cell('a', 1, 0.9, 12),
    cell('b', 1, 0.9, 40),
    cell('c', 1, 0.9, 40),
    // In another order, and different in one seed: `c` is not alike.
    cell('c', 2, 0.7, 40),
    cell('b', 2, 0.8, 40),
    cell('a', 2, 0.8, 14),
  ]);
  expect(found).toEqual([
    '`a` and `b` end with the same accuracy, MACs and parameters in every seed: of the 12–40 policies that each search tried, the same one was the best.',
  ]);
});

test('rules that give one network are no search; other seeds are no difference in themselves', () => {
  expect(findings([cell('l1', 1, 0.9), cell('l2', 1, 0.9), cell('fpgm', 2, 0.9)])).toEqual([
    '`l1` and `l2` end with the same accuracy, MACs and parameters in every seed.',
  ]);
  expect(findings([cell('l1', 1, 0.9), cell('search', 1, 0.9, 7)])[0]).toContain('the 7 policies that each search tried');
  expect(findings([])).toEqual([]);
});

test('a search that scores partial policies says how many whole ones it tried', () => {
  expect(
    findings([cell('dense', 1, 0.9, 4, 40), cell('dense', 2, 0.9, 5, 40), cell('dense', 3, 0.9, 5, 40), cell('whole', 1, 0.8, 40)]),
  ).toEqual(['`dense` scores after every step, partial policies too; whole policies among its 40 scorings: 5.']);
});
