import { expect, test } from 'vitest';
import { extentOf, linear, linePath, runningMedian, ticks } from './charts/scale';
import { bytes, count, duration, milliseconds, percent, plain, removed, shapeText } from './figures';

const plainSpaces = (text: string): string => text.replaceAll('\u00a0', ' ');

test.each([
  [count(0), '0'],
  [count(840), '840'],
  [count(1180), '1.18 K'],
  [count(40_600_000), '40.6 M'],
  [count(999_999), '1.00 M'],
  [bytes(74_000), '74.0 KB'],
  [percent(0.90649), '90.6 %'],
  [removed(0.5), '−50 %'],
  [removed(0), 'kept'],
  [duration(0.2), 'under 1 s'],
  [duration(190), '3 min 10 s'],
  [duration(3900), '1 h 5 min'],
  [duration(300), '5 min'],
  [duration(7200), '2 h'],
  [milliseconds(0.0412), '0.041 ms'],
  [milliseconds(12.34), '12.3 ms'],
  [plain(-0.0123), '−0.0123'],
  [plain(12345), '1.2e+4'],
  [shapeText(['batch', 3, null]), 'batch × 3 × ?'],
  [shapeText(null), 'unknown'],
])('%s', (text, expected) => {
  expect(plainSpaces(text)).toBe(expected);
});

test('ticks are round and inside', () => {
  expect(ticks(0, 1, 5)).toEqual([0, 0.2, 0.4, 0.6000000000000001, 0.8, 1]);
  expect(ticks(0.83, 0.92, 4).map((tick) => tick.toFixed(2))).toEqual(['0.85', '0.90']);
  expect(ticks(3, 3)).toEqual([3]);
});

test('a scale of one point has a middle, an extent of nothing a range', () => {
  expect(linear([2, 2], [0, 10])(2)).toBe(5);
  expect(extentOf([])).toEqual([0, 1]);
  expect(extentOf([3])[0]).toBeLessThan(3);
});

test('the running median looks back only', () => {
  expect(runningMedian([1, 9, 2, 8], 3)).toEqual([1, 5, 2, 8]);
});

test('a line breaks where there is no value', () => {
  expect(linePath([[0, 0], null, [1, 1], [2, 2]])).toBe('M0.0 0.0M1.0 1.0L2.0 2.0');
});
