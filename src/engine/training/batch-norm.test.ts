import { expect, test } from 'vitest';
import type { Batch } from '../data/dataset';
import type { Model } from '../onnx/model';
import { Session } from '../runtime/onnxruntime';
import { reestimateBatchNorm } from './batch-norm';
import { fill, residual, twoLayers } from './testing/networks';
import { Trainer } from './trainer';

const PIXELS = 3 * 16 * 16;
const batchOf = (count: number, seed: number): Batch => ({ inputs: fill(count * PIXELS, seed, 1), count });
const statistic = (model: Model, name: string): Float32Array => model.graph.initializers.get(name)!.floats();
const names = [...residual().graph.initializers.keys()].filter((n) => n.includes('running'));

/** The output of the first convolution, computed by onnxruntime as a model of its own. */
async function stem(batch: Batch): Promise<Float32Array> {
  const model = residual();
  const [conv] = model.graph.nodes;
  const cut: Model = { ...model, graph: { ...model.graph, nodes: [conv], outputs: [{ name: conv.outputs[0], type: 'float32' }] } };
  const session = await Session.create(cut, { threads: 1 });
  const result = await session.run({ input: { type: 'float32', shape: [batch.count, 3, 16, 16], data: batch.inputs } });
  await session.release();
  return result[conv.outputs[0]].data as Float32Array;
}

test('first layer: mean and unbiased variance of its own values, averaged over batches', async () => {
  const batches = [batchOf(6, 1), batchOf(6, 2), batchOf(3, 3)];
  const model = await reestimateBatchNorm(residual(), batches, { threads: 1 });
  const [mean, variance] = [new Float64Array(8), new Float64Array(8)];
  for (const batch of batches) {
    const y = await stem(batch);
    for (let c = 0; c < 8; c++) {
      const values: number[] = [];
      for (let n = 0; n < batch.count; n++) values.push(...y.subarray((8 * n + c) * 256, (8 * n + c + 1) * 256));
      const m = values.reduce((a, v) => a + v, 0) / values.length;
      mean[c] += (m * batch.count) / 15;
      variance[c] += ((values.reduce((a, v) => a + (v - m) ** 2, 0) / (values.length - 1)) * batch.count) / 15;
    }
  }
  const [ours, oursVar] = [statistic(model, 'stem_bn.running_mean'), statistic(model, 'stem_bn.running_var')];
  for (let c = 0; c < 8; c++) {
    expect(ours[c]).toBeCloseTo(mean[c], 5);
    expect(oursVar[c] / variance[c]).toBeCloseTo(1, 5);
  }
});

test('all layers are consistent: on that one batch, inference scores as the training pass does', async () => {
  const batch = batchOf(8, 4);
  const labels = Int32Array.from({ length: 8 }, (_, i) => i);
  const before = residual();
  const after = await reestimateBatchNorm(before, [batch], { threads: 1 });
  const lossOf = async (model: Model, freezeBatchNorm: boolean): Promise<number> => {
    const trainer = await Trainer.create(model, { batch: 8, threads: 1, freezeBatchNorm });
    const { loss } = await trainer.step({ inputs: batch.inputs, labels }, 0);
    await trainer.dispose();
    return loss;
  };
  const training = await lossOf(before, false);
  expect(Math.abs((await lossOf(before, true)) - training)).toBeGreaterThan(0.05);
  // Inference divides by the unbiased variance, training by the biased one: 0.2 % apart in the smallest layer (8 · 8 · 8 values).
  expect(Math.abs((await lossOf(after, true)) - training)).toBeLessThan(0.01);
  for (const name of names) expect(statistic(after, name)).not.toEqual(statistic(before, name));
  expect(statistic(after, 'stem.weight')).toEqual(statistic(before, 'stem.weight'));
});

test('a network without batch normalisation is returned as it is; no data is an error', async () => {
  const plain = twoLayers(3, 4, 2);
  expect(await reestimateBatchNorm(plain, [])).toBe(plain);
  await expect(reestimateBatchNorm(residual(), [])).rejects.toThrow(/no data/);
  await expect(reestimateBatchNorm(residual(), [{ inputs: new Float32Array(2 * PIXELS).fill(Number.NaN), count: 2 }])).rejects.toThrow(
    /not finite/,
  );
});
