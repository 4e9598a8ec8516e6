import { expect, test } from 'vitest';
import { Random } from '../random';
import { elementScores, selectElements } from './variational';

const base = {
  weights: Float32Array.of(1, -2, 3, 4, -5, 6),
  dims: [2, 3],
  unitAxis: 0,
  inputAxis: 1,
  dropProbability: Float32Array.of(0, 0.5),
  rms: Float32Array.of(1, 2, 0.1),
  fraction: 0.5,
};
const kept = (mask: Float32Array): number[] => Array.from(mask.keys()).filter((i) => mask[i] === 1);
const close = (values: Float32Array): number[] => Array.from(values, (v) => Math.round(v * 1e4) / 1e4);

test('scores: magnitude, survival of the unit, size of the input', () => {
  expect(close(elementScores(base))).toEqual([1, 4, 0.3, 2, 5, 0.3]);
  expect(close(elementScores({ ...base, useDropProbability: false }))).toEqual([1, 4, 0.3, 4, 10, 0.6]);
});

test('transposed weights and convolutions, groups included', () => {
  const transposed = { ...base, weights: Float32Array.of(1, 4, -2, -5, 3, 6), dims: [3, 2], unitAxis: 1, inputAxis: 0 };
  expect(close(elementScores(transposed))).toEqual([1, 2, 4, 5, 0.3, 0.3]);
  const conv = { ...base, weights: new Float32Array(8).fill(1), dims: [2, 2, 1, 2], rms: Float32Array.of(1, 2) };
  expect(close(elementScores(conv))).toEqual([1, 1, 2, 2, 0.5, 0.5, 1, 1]);
  const grouped = { ...conv, groups: 2, rms: Float32Array.of(1, 2, 3, 4) };
  expect(close(elementScores(grouped))).toEqual([1, 1, 2, 2, 1.5, 1.5, 2, 2]);
});

test('the lowest go; the factor changes which', () => {
  // 2 and 5 tie at 0.3; then 0.
  expect(kept(selectElements(base))).toEqual([1, 3, 4]);
  expect(kept(selectElements({ ...base, fraction: 1 / 3 }))).toEqual([0, 1, 3, 4]);
  expect(kept(selectElements({ ...base, fraction: 0.17 }))).toEqual([0, 1, 3, 4, 5]);
  const strong = { ...base, dropProbability: Float32Array.of(0, 0.95), fraction: 2 / 3 };
  expect(kept(selectElements(strong))).toEqual([0, 1]);
  expect(kept(selectElements({ ...strong, useDropProbability: false }))).not.toEqual([0, 1]);
});

test('what is gone stays gone, the fraction is of the rest, and one weight is left', () => {
  const mask = Float32Array.of(1, 0, 1, 1, 0, 1);
  expect(kept(selectElements({ ...base, mask }))).toEqual([0, 3]);
  expect(kept(selectElements({ ...base, mask, fraction: 0.99 }))).toEqual([3]);
});

test('drawn masks hit the fraction on average, follow p, and repeat with the seed', () => {
  const n = 100;
  const dims = [2, n];
  const wide = {
    ...base,
    weights: new Float32Array(2 * n).fill(1),
    dims,
    dropProbability: Float32Array.of(0.1, 0.3),
    rms: new Float32Array(n).fill(1),
  };
  const random = new Random(1);
  let [first, second] = [0, 0];
  const rounds = 200;
  for (let i = 0; i < rounds; i++) {
    const mask = selectElements({ ...wide, fraction: 0.4, stochastic: random });
    first += n - kept(mask.subarray(0, n)).length;
    second += n - kept(mask.subarray(n)).length;
  }
  // c = 2: 20 % of the first unit, 60 % of the second; the standard deviation of each mean is below 0.4 %.
  expect(first / rounds / n).toBeCloseTo(0.2, 1.7);
  expect(second / rounds / n).toBeCloseTo(0.6, 1.7);
  const draw = (seed: number) => selectElements({ ...wide, stochastic: new Random(seed) });
  expect(draw(7)).toEqual(draw(7));
  expect(draw(7)).not.toEqual(draw(8));
  expect(() => selectElements({ ...wide, dropProbability: Float32Array.of(0, 0.3), fraction: 0.8, stochastic: random })).toThrow(
    /only 50 %/,
  );
});

test('sizes that do not fit are refused', () => {
  expect(() => elementScores({ ...base, rms: new Float32Array(2) })).toThrow(/2 root mean squares for 3 inputs/);
  expect(() => elementScores({ ...base, dropProbability: new Float32Array(3) })).toThrow(/3 drop probabilities for 2 units/);
  expect(() => selectElements({ ...base, fraction: 1 })).toThrow(/fraction/);
});
