import { expect, it } from 'vitest';
import { Random } from '../random';
import { solveFewSamples } from './few-samples';
import { MomentEngine, SampleMatrix } from './gram';

const normal = (random: Random, count: number): Float64Array => Float64Array.from({ length: count }, () => random.normal());

/** X of `rows` × `inputs` and Y = X·W + noise; and W₀, which lies beside W by `off`. */
async function problem(rows: number, inputs: number, outputs: number, off: number, noise: number, centred = false) {
  const random = new Random(11);
  const [truth, away] = [normal(random, inputs * outputs), normal(random, inputs * outputs)];
  const prior = truth.map((w, i) => w + off * away[i]);
  const sample = (n: number): SampleMatrix => {
    const m = new SampleMatrix(n, inputs, outputs);
    for (let r = 0; r < n; r++) {
      const x = normal(random, inputs);
      for (let i = 0; i < inputs; i++) m.data[r * m.width + i] = x[i];
      for (let j = 0; j < outputs; j++) {
        let y = noise * random.normal() + (centred ? 5 : 0);
        for (let i = 0; i < inputs; i++) y += x[i] * truth[i * outputs + j];
        m.data[r * m.width + inputs + 1 + j] = y;
      }
    }
    return m;
  };
  const matrix = sample(rows);
  const engine = await MomentEngine.create({ threads: 1 });
  const moments = await engine.moments(matrix, centred);
  await engine.release();
  const fresh = sample(400);
  /** Squared error on samples of its own, a value. */
  const errorOf = (weights: Float64Array, constant: Float64Array): number => {
    let sum = 0;
    for (let r = 0; r < fresh.rows; r++)
      for (let j = 0; j < outputs; j++) {
        let y = constant[j];
        for (let i = 0; i < inputs; i++) y += fresh.data[r * fresh.width + i] * weights[i * outputs + j];
        sum += (y - fresh.data[r * fresh.width + inputs + 1 + j]) ** 2;
      }
    return sum / (fresh.rows * outputs);
  };
  const columns = Array.from({ length: inputs }, (_, i) => i);
  return { matrix, moments, prior, columns, errorOf };
}

it.each([12, 30])('solves the normal equations of ‖XW − Y‖² + λ‖W − W₀‖² with %i rows', async (rows) => {
  const [inputs, outputs] = [20, 3];
  const { matrix, moments, prior, columns } = await problem(rows, inputs, outputs, 0.5, 0.1);
  const { weights, ridge } = solveFewSamples(matrix, moments, columns, prior);
  // XᵀX(W − W₀) + λ(W − W₀) = Xᵀ(Y − XW₀), with λ = ridge · mean diagonal of XXᵀ, or of XᵀX where that is smaller.
  let trace = 0;
  for (let i = 0; i < inputs; i++) trace += moments.gram[i * inputs + i];
  const lambda = (ridge * trace) / Math.min(rows, inputs);
  for (let i = 0; i < inputs; i++) {
    for (let j = 0; j < outputs; j++) {
      const move = (k: number): number => weights[k * outputs + j] - prior[k * outputs + j];
      let [left, right] = [lambda * move(i), moments.cross[i * outputs + j]];
      for (let k = 0; k < inputs; k++) {
        left += moments.gram[i * inputs + k] * move(k);
        right -= moments.gram[i * inputs + k] * prior[k * outputs + j];
      }
      expect(left).toBeCloseTo(right, 2);
    }
  }
});

it('the nearer the present weights, the less they are moved; never worse on new samples than leaving them', async () => {
  for (const centred of [false, true]) {
    for (const [off, noise, rows] of [
      [0.01, 1, 30],
      [1, 0.01, 30],
      [0.1, 0.1, 30],
      [0.01, 1, 90],
      [1, 0.01, 90],
    ]) {
      const { matrix, moments, prior, columns, errorOf } = await problem(rows, 60, 4, off, noise, centred);
      const found = solveFewSamples(matrix, moments, columns, prior);
      const kept = Float64Array.from({ length: 4 }, () => (centred ? 5 : 0));
      expect(errorOf(found.weights, found.constant)).toBeLessThan(1.1 * errorOf(prior, kept));
      if (off === 0.01) expect(found.ridge).toBeGreaterThanOrEqual(1);
      if (off === 1) expect(errorOf(found.weights, found.constant)).toBeLessThan(0.7 * errorOf(prior, kept));
    }
  }
});

it('some columns alone, and a sample of nothing', async () => {
  const { matrix, moments, prior } = await problem(8, 20, 2, 0.5, 0.1);
  const columns = [3, 7, 1, 9, 12, 15, 0, 19, 4, 5];
  const part = Float64Array.from(columns.flatMap((c) => [prior[2 * c], prior[2 * c + 1]]));
  const { weights, error } = solveFewSamples(matrix, moments, columns, part);
  expect(weights.length).toBe(20);
  expect(error).toBeGreaterThanOrEqual(0);
  const empty = new SampleMatrix(8, 20, 2);
  const engine = await MomentEngine.create({ threads: 1 });
  const nothing = await engine.moments(empty, false);
  await engine.release();
  expect(solveFewSamples(empty, nothing, columns, part)).toMatchObject({ weights: part, ridge: Number.POSITIVE_INFINITY, error: 0 });
});
