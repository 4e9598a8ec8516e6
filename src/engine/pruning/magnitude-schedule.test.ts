import { describe, expect, test } from 'vitest';
import { Random } from '../random';
import { deviationShares, mostSparse, overallSparsity, type ScheduledLayer, shuffledMask, ticketSchedule } from './magnitude-schedule';

const layer = (weights: number, changes: Partial<ScheduledLayer> = {}): ScheduledLayer => ({
  weights,
  output: false,
  least: 0,
  most: 1,
  ...changes,
});

/** LeNet-300-100. */
const lenet = [layer(235_200), layer(30_000), layer(1_000, { output: true })];

describe('schedule of the lottery ticket hypothesis', () => {
  test('at 20 % a round (10 % of the output layer), three rounds leave 51.2 % and 72.9 %', () => {
    const target = overallSparsity(lenet, [1 - 0.8 ** 3, 1 - 0.8 ** 3, 1 - 0.9 ** 3]);
    const rounds = ticketSchedule(lenet, target, 3);
    expect(rounds).toHaveLength(3);
    [0.2, 0.36, 0.488].forEach((share, r) => {
      expect(rounds[r][0]).toBeCloseTo(share, 9);
      expect(rounds[r][1]).toBeCloseTo(share, 9);
    });
    expect(rounds[2][2]).toBeCloseTo(0.271, 9);
  });

  test('limits of layers hold, the others make up for them', () => {
    const layers = [layer(1000, { most: 0.1 }), layer(1000, { least: 0.9 }), layer(2000)];
    const rounds = ticketSchedule(layers, 0.6, 4);
    const last = rounds[3];
    expect(last[0]).toBeCloseTo(0.1, 9);
    expect(last[1]).toBeGreaterThanOrEqual(0.9 - 1e-9);
    expect(overallSparsity(layers, last)).toBeCloseTo(0.6, 6);
    for (let r = 1; r < 4; r++)
      rounds[r].forEach((s, i) => {
        expect(s).toBeGreaterThanOrEqual(rounds[r - 1][i]);
      });
  });

  test('no layer goes whole, whatever is asked', () => {
    for (const [i, share] of ticketSchedule([layer(10), layer(1000)], 0.9999, 2)[1].entries())
      expect(share).toBeLessThanOrEqual(mostSparse([10, 1000][i]));
  });
});

describe('one threshold in standard deviations', () => {
  const random = new Random(2);
  const normal = (n: number, sigma: number): Float32Array => Float32Array.from({ length: n }, () => sigma * random.normal());

  test('of normal weights of any scale the same share goes: that below the quantile', () => {
    const values = [normal(40_000, 0.01), normal(20_000, 3)];
    const layers = values.map((v) => layer(v.length));
    // P(|z| < 1.2816) = 0.8
    const shares = deviationShares(layers, values, 0.8);
    for (const s of shares) expect(s).toBeCloseTo(0.8, 2);
    expect(overallSparsity(layers, shares)).toBeCloseTo(0.8, 3);
    expect(overallSparsity(layers, shares)).toBeGreaterThanOrEqual(0.8 - 1e-9);
  });

  test('a layer with heavier tails loses more', () => {
    const heavy = Float32Array.from(normal(20_000, 1), (v) => v ** 3);
    const [light, tails] = deviationShares([layer(20_000), layer(20_000)], [normal(20_000, 1), heavy], 0.7);
    expect(tails).toBeGreaterThan(light + 0.1);
  });

  test('what went before counts as gone; limits hold; one weight of each layer stays', () => {
    const values = [normal(1000, 1).map((v, i) => (i < 400 ? 0 : v)), normal(1000, 1)];
    const shares = deviationShares([layer(1000), layer(1000, { most: 0.3 })], values, 0.5);
    expect(shares[0]).toBeGreaterThanOrEqual(0.4);
    expect(shares[1]).toBeLessThanOrEqual(0.3);
    expect(deviationShares([layer(50)], [normal(50, 1)], 1)).toEqual([mostSparse(50)]);
  });
});

test('a shuffled mask has the same number of zeros elsewhere', () => {
  const mask = Float32Array.from({ length: 500 }, (_, i) => (i < 100 ? 1 : 0));
  const shuffled = shuffledMask(mask, new Random(1));
  expect(shuffled.reduce((a, b) => a + b, 0)).toBe(100);
  const inPlace = shuffled.subarray(0, 100).reduce((a, b) => a + b, 0);
  expect(inPlace).toBeGreaterThan(5);
  expect(inPlace).toBeLessThan(40);
});
