import { expect, test } from 'vitest';
import { ActionList } from './action-list';

const list = new ActionList([0, 0.25, 0.5, 1]);

test('within bounds, whose rounding is forgiven; the nearest where none is', () => {
  expect(list.within({ low: 0, high: 1 })).toEqual([0, 1, 2, 3]);
  expect(list.within({ low: 0.1 + 0.15 + 1e-12, high: 0.5 - 1e-12 })).toEqual([1, 2]);
  expect(list.within({ low: 0.6, high: 0.7 })).toEqual([2]);
  expect(list.within({ low: 0.9, high: 0.95 })).toEqual([3]);
});

test('the nearest action, the first one on a tie', () => {
  expect([0.1, 0.2, 0.375, 0.76, 7].map((v) => list.nearest(v))).toEqual([0, 1, 1, 3, 3]);
});
