import { expect, test } from 'vitest';
import { Random } from '../random';
import { logNormalDensity, noiseAfter, normalCumulative, normalQuantile, truncatedNormal } from './exploration';

test('the normal distribution at tabulated points', () => {
  expect(normalCumulative(0)).toBeCloseTo(0.5, 6);
  expect(normalCumulative(1.959963985)).toBeCloseTo(0.975, 6);
  expect(normalCumulative(-3)).toBeCloseTo(0.0013498980316, 8);
  for (const p of [0.001, 0.02, 0.3, 0.5, 0.9, 0.999]) expect(normalCumulative(normalQuantile(p))).toBeCloseTo(p, 6);
  expect(logNormalDensity(1, 0, 1)).toBeCloseTo(-1.4189385332, 9);
});

test.each([
  // mean, σ, low, high, mean of the truncated distribution (closed form)
  [0.5, 0.5, 0, 1, 0.5],
  [0, 1, 0, 10, 0.7978845608],
  [0, 0.5, 1, 2, 1.1865],
  [1, 0.5, -1, 0, -0.1865],
])('truncated normal: mean %d, σ %d on [%d, %d]', (mean, sigma, low, high, expected) => {
  const random = new Random(1);
  const samples = Array.from({ length: 20_000 }, () => truncatedNormal(random, mean, sigma, low, high));
  expect(Math.min(...samples)).toBeGreaterThanOrEqual(low);
  expect(Math.max(...samples)).toBeLessThanOrEqual(high);
  expect(samples.reduce((a, b) => a + b, 0) / samples.length).toBeCloseTo(expected, 1);
});

test('truncated normal takes one draw even where there is nothing to choose', () => {
  const a = new Random(1);
  const b = new Random(1);
  expect(truncatedNormal(a, 0.5, 0.1, 0.3, 0.3)).toBe(0.3);
  truncatedNormal(b, 0.5, 0.1, 0, 1);
  expect(a.state()).toEqual(b.state());
  // Far in a tail the samples stay within.
  const far = truncatedNormal(a, 0, 0.01, 0.9, 1);
  expect(far >= 0.9 && far <= 1).toBe(true);
});

test('noise falls geometrically to its floor', () => {
  const schedule = { start: 0.5, decay: 0.95, floor: 0.01 };
  expect(noiseAfter(schedule, 0)).toBe(0.5);
  expect(noiseAfter(schedule, 2)).toBeCloseTo(0.45125, 12);
  expect(noiseAfter(schedule, 1000)).toBe(0.01);
});
