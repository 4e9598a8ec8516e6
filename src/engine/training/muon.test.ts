import { expect, test } from 'vitest';
import { GraphBuilder } from '../ops/builder';
import { floatTensor, Session } from '../runtime/onnxruntime';
import { orthogonalized } from './muon';
import { fill, residual } from './testing/networks';
import { Trainer, type TrainerOptions } from './trainer';

async function computed(matrix: readonly number[], rows: number, columns: number): Promise<Float32Array> {
  const b = new GraphBuilder(17);
  const result = orthogonalized(b, b.input('update', [rows * columns]), rows, columns);
  b.output(result);
  const session = await Session.create(b.build('muon'), { threads: 1 });
  try {
    const outputs = await session.run({ update: floatTensor(Float32Array.from(matrix), [rows * columns]) });
    return outputs[result.name].data as Float32Array;
  } finally {
    await session.release();
  }
}

/** A reflection I − 2vvᵀ/‖v‖²: orthogonal. */
const reflection = (v: readonly number[]): number[][] => {
  const square = v.reduce((a, x) => a + x * x, 0);
  return v.map((x, i) => v.map((y, j) => (i === j ? 1 : 0) - (2 * x * y) / square));
};
/** U·diag(s)·Vᵀ, row by row; the first min(rows, columns) directions. */
const composed = (u: number[][], s: readonly number[], v: number[][]): number[] =>
  u.flatMap((left) => v.map((right) => s.reduce((sum, value, k) => sum + left[k] * value * right[k], 0)));

/** What five steps of the quintic make of a singular value. */
const quintic = (s: number): number => {
  let x = s;
  for (let i = 0; i < 5; i++) x = 3.4445 * x - 4.775 * x ** 3 + 2.0315 * x ** 5;
  return x;
};

test('singular values come near 1, and directions stay: of wide and of tall matrices', async () => {
  const [u, v] = [reflection([1, -2, 0.5]), reflection([0.3, 1, -1, 2, 0.7])];
  const s = [5, 2, 0.4];
  const length = Math.hypot(...s);
  const wanted = s.map((value) => quintic(value / length));
  for (const value of wanted) expect(Math.abs(value - 1)).toBeLessThan(0.35);
  for (const [left, right] of [
    [u, v],
    [v, u],
  ]) {
    const result = await computed(composed(left, s, right), left.length, right.length);
    composed(left, wanted, right).forEach((value, i) => {
      expect(result[i]).toBeCloseTo(value, 4);
    });
  }
});

test('a gradient of zeros moves nothing', async () => {
  expect([...(await computed(new Array(12).fill(0), 3, 4))]).toEqual(new Array(12).fill(0));
});

const batch = { inputs: fill(8 * 3 * 256, 5, 1), labels: Int32Array.from({ length: 8 }, (_, i) => i % 10) };
const trained = async (options: Partial<TrainerOptions>): Promise<Trainer> =>
  Trainer.create(residual(), { batch: 8, threads: 1, ...options });

test('kernels move by the share of their norm that was asked for, all else as by SGD', async () => {
  const muon = await trained({ muon: { relativeStep: 0.2 }, momentum: 0.9 });
  const sgd = await trained({ momentum: 0.9 });
  const kernels = muon.graph.parameters.filter((p) => p.dims.length === 4);
  expect(kernels.length).toBeGreaterThan(2);
  const before = new Map(muon.graph.parameters.map((p) => [p.name, muon.parameter(p.name).slice()]));
  await muon.step(batch, 0.05);
  await sgd.step(batch, 0.05);
  for (const p of muon.graph.parameters) {
    const [was, is, other] = [before.get(p.name)!, muon.parameter(p.name), sgd.parameter(p.name)];
    if (kernels.includes(p)) {
      const moved = Math.hypot(...is.map((x, i) => x - was[i]));
      expect(moved / Math.hypot(...was)).toBeCloseTo(0.05 * 0.2, 5);
      // Downhill as SGD's step is: an orthogonalised direction never turns from the gradient's.
      expect(is.reduce((sum, x, i) => sum + (x - was[i]) * (other[i] - was[i]), 0)).toBeGreaterThan(0);
    } else {
      expect([...is]).toEqual([...other]);
    }
  }
  await muon.dispose();
  await sgd.dispose();
});

test('the loss falls, masked weights stay zero, and a state goes on as it would have', async () => {
  const name = residual().graph.nodes.find((n) => n.opType === 'Conv')!.inputs[1];
  const size = residual().graph.initializers.get(name)!.size;
  const masks = new Map([[name, Float32Array.from({ length: size }, (_, i) => (i % 3 === 0 ? 0 : 1))]]);
  const options = { muon: { relativeStep: 0.4 }, momentum: 0.9, masks };
  const trainer = await trained(options);
  const first = await trainer.step(batch, 0.05);
  for (let i = 0; i < 10; i++) await trainer.step(batch, 0.05);
  const state = trainer.state();
  const last = await trainer.step(batch, 0.05);
  expect(last.loss).toBeLessThan(0.8 * first.loss);
  expect(trainer.parameter(name).every((w, i) => i % 3 !== 0 || w === 0)).toBe(true);
  const again = await trained(options);
  again.restore(state);
  await again.step(batch, 0.05);
  expect(again.state()).toEqual(trainer.state());
  await trainer.dispose();
  await again.dispose();
});
