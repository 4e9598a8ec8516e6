import { inverse, Matrix } from 'ml-matrix';
import { expect, test } from 'vitest';
import { Random } from '../random';
import { factorize, factorizeWithRidge, invertFactored, RidgeSystem, solveLeastSquares } from './least-squares';

/** A random symmetric positive definite matrix, XᵀX of `rows` normal rows. */
function randomGram(n: number, random: Random, rows = n + 5): Float64Array {
  const x = Float64Array.from({ length: rows * n }, () => random.normal());
  const g = new Float64Array(n * n);
  for (let r = 0; r < rows; r++) for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) g[i * n + j] += x[r * n + i] * x[r * n + j];
  return g;
}

const toMatrix = (a: Float64Array, n: number, m = n): Matrix =>
  new Matrix(Array.from({ length: n }, (_, i) => Array.from(a.subarray(i * m, (i + 1) * m))));

test.each([1, 2, 3, 4, 5, 7, 8, 13, 36])('the inverse of a %i×%i matrix is the one ml-matrix finds', (n) => {
  const g = randomGram(n, new Random(n));
  const wanted = inverse(toMatrix(g, n));
  const found = invertFactored(factorizeWithRidge(g, n, 0).factor, n);
  const scale = wanted.max();
  for (let i = 0; i < n; i++) for (let j = 0; j < n; j++) expect(Math.abs(found[i * n + j] - wanted.get(i, j))).toBeLessThan(1e-9 * scale);
});

test('ridge regression solves (G + ε·mean·I)·W = B', () => {
  const n = 11;
  const m = 3;
  const random = new Random(5);
  const g = randomGram(n, random);
  const b = Float64Array.from({ length: n * m }, () => random.normal());
  const w = solveLeastSquares(g, n, b, m, 0.1);
  let mean = 0;
  for (let i = 0; i < n; i++) mean += g[i * n + i] / n;
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < m; j++) {
      let s = 0.1 * mean * w[i * m + j];
      for (let k = 0; k < n; k++) s += g[i * n + k] * w[k * m + j];
      expect(s).toBeCloseTo(b[i * m + j], 9);
    }
  }
});

test('a system over some columns is the system of those columns', () => {
  const random = new Random(6);
  const g = randomGram(6, random);
  const b = Float64Array.from({ length: 12 }, () => random.normal());
  const columns = [1, 4, 5];
  const part = Float64Array.from({ length: 9 }, (_, i) => g[columns[Math.floor(i / 3)] * 6 + columns[i % 3]]);
  const right = Float64Array.from({ length: 6 }, (_, i) => b[columns[Math.floor(i / 2)] * 2 + (i % 2)]);
  expect(new RidgeSystem(g, 6, columns, 1e-3).solve(b, 2)).toEqual(solveLeastSquares(part, 3, right, 2, 1e-3));
});

test('columns that are never active get zero weights', () => {
  const g = new Float64Array(9);
  expect(solveLeastSquares(g, 3, new Float64Array(3), 1)).toEqual(new Float64Array(3));
});

test('a matrix that is not positive definite is refused with its pivot', () => {
  expect(() => factorize(Float64Array.of(1, 2, 2, 1), 2)).toThrow(/not positive definite \(pivot 1 is -3\)/);
});

test('a Gram matrix with rounding errors larger than the ridge still gets an answer', () => {
  // Two equal columns, and a third product that is off by more than the ridge.
  const g = Float64Array.of(1, 1.00001, 1.00001, 1);
  const w = solveLeastSquares(g, 2, Float64Array.of(1, 1), 1, 1e-7);
  expect(w[0] + w[1]).toBeCloseTo(1, 3);
});

test('a ridge around known weights: the gradient of ‖Y − XW‖² + ε‖W − W₀‖² is zero, and W₀ comes back where it fits', () => {
  const [g, p] = [Float64Array.of(4, 1, 0.5, 1, 3, 0.2, 0.5, 0.2, 2), 3];
  const columns = [0, 2];
  const prior = Float64Array.of(0.5, -1, 2, 0.25);
  const cross = Float64Array.of(1, 2, 3, 4, 5, 6);
  const system = new RidgeSystem(g, p, columns, 0.1);
  const w = system.solve(cross, 2, prior);
  expect(system.epsilon).toBeCloseTo((0.1 * (4 + 2)) / 2, 12);
  for (let i = 0; i < 2; i++)
    for (let j = 0; j < 2; j++) {
      let gradient = system.epsilon * (w[i * 2 + j] - prior[i * 2 + j]) - cross[columns[i] * 2 + j];
      for (let c = 0; c < 2; c++) gradient += g[columns[i] * p + columns[c]] * w[c * 2 + j];
      expect(gradient).toBeCloseTo(0, 12);
    }
  // B = G·W₀ over these columns.
  const exact = Float64Array.of(4 * 0.5 + 0.5 * 2, 4 * -1 + 0.5 * 0.25, 0, 0, 0.5 * 0.5 + 2 * 2, 0.5 * -1 + 2 * 0.25);
  system.solve(exact, 2, prior).forEach((v, i) => {
    expect(v).toBeCloseTo(prior[i], 12);
  });
});
