import { expect, test } from 'vitest';
import { Random } from '../random';
import { coordinateDescent, type LassoProblem, selectLasso } from './lasso';

test('with uncorrelated channels coordinate descent is soft thresholding', () => {
  const q = Float64Array.of(2, 0, 0, 0, 1, 0, 0, 0, 4);
  const beta = new Float64Array(3);
  coordinateDescent(q, Float64Array.of(3, -0.4, -6), beta, 0.5);
  expect(Array.from(beta)).toEqual([(3 - 0.5) / 2, 0, (-6 + 0.5) / 4]);
});

test('without a penalty it solves Qβ = r', () => {
  const q = Float64Array.of(2, 1, 1, 3);
  const beta = new Float64Array(2);
  coordinateDescent(q, Float64Array.of(1, 2), beta, 0, 1e-14);
  expect(beta[0]).toBeCloseTo(0.2, 10);
  expect(beta[1]).toBeCloseTo(0.6, 10);
});

test('the solution meets the optimality conditions of the LASSO on correlated channels', () => {
  const random = new Random(3);
  const c = 8;
  const a = Float64Array.from({ length: 20 * c }, () => random.normal() + 0.5);
  const q = new Float64Array(c * c);
  for (let i = 0; i < c; i++) for (let j = 0; j < c; j++) for (let k = 0; k < 20; k++) q[i * c + j] += a[k * c + i] * a[k * c + j];
  const r = Float64Array.from({ length: c }, () => random.normal() * 10);
  const beta = new Float64Array(c);
  coordinateDescent(q, r, beta, 4, 1e-12, 100_000);
  let zeros = 0;
  for (let i = 0; i < c; i++) {
    let gradient = -r[i];
    for (let j = 0; j < c; j++) gradient += q[i * c + j] * beta[j];
    if (beta[i] === 0) {
      zeros++;
      expect(Math.abs(gradient)).toBeLessThanOrEqual(4 + 1e-6);
    } else expect(gradient).toBeCloseTo(-4 * Math.sign(beta[i]), 6);
  }
  expect(zeros).toBeGreaterThan(0);
});

/** Independent channels of two columns; channel i adds to the output with strength `strengths[i]`. */
function independent(strengths: readonly number[], extra = 0): LassoProblem {
  const columns = strengths.length * 2 + extra;
  const gram = new Float64Array(columns * columns);
  const weights = new Float64Array(columns);
  for (let i = 0; i < columns; i++) gram[i * columns + i] = 100;
  strengths.forEach((s, c) => {
    weights[2 * c] = s;
    weights[2 * c + 1] = -s / 2;
  });
  for (let i = strengths.length * 2; i < columns; i++) weights[i] = 1;
  const cross = weights.map((w) => 100 * w);
  const blocks = strengths.map((_, c) => [2 * c, 2 * c + 1]);
  return { gram, columns, cross, outputs: 1, weights, blocks, energy: weights.reduce((s, w) => s + 100 * w * w, 0) };
}

test.each([1, 2, 3])('the channels that matter most stay, exactly as many as asked (%i rounds)', (alternations) => {
  const problem = independent([0.5, 3, 0.1, 2, 1, 0.01], 1);
  for (let keep = 1; keep <= 6; keep++) {
    const wanted = [1, 3, 4, 0, 2, 5].slice(0, keep).sort();
    expect(selectLasso([problem], keep, { alternations }).kept).toEqual(wanted);
  }
});

test('equal channels: still exactly as many as asked', () => {
  expect(selectLasso([independent([1, 1, 1, 1])], 2).kept).toHaveLength(2);
});

test('layers that read the same channels decide together', () => {
  const { kept } = selectLasso([independent([3, 1, 0.1, 0.2]), independent([0.1, 1, 0.1, 3])], 2, { alternations: 1 });
  expect(kept).toEqual([0, 3]);
});

test('fewer channels cost a larger penalty', () => {
  const problem = independent([0.5, 3, 0.1, 2, 1, 0.01]);
  const penalties = [5, 3, 1].map((keep) => selectLasso([problem], keep, { alternations: 1 }).lambda);
  expect(penalties[0]).toBeLessThan(penalties[1]);
  expect(penalties[1]).toBeLessThan(penalties[2]);
});
