import { expect, test } from 'vitest';
import { configSchema } from '../../protocol/config';
import { normals, tinyGraph, value } from '../graph/passes/testing/same-outputs';
import { modelBytes } from '../onnx/file';
import { makeNode } from '../onnx/model';
import { Random } from '../random';
import { accuracyOf } from '../runtime/evaluate';
import { CompressionActor, type TuningBatch } from './actor';
import { maskedAfterNoise, type RolloutMasking } from './rollout-masking';

const normal = normals(5);
const WEIGHTS = ['w1', 'w2'];

/** A perceptron of 6 → 12 → 3. */
const model = tinyGraph(
  [
    makeNode('Gemm', ['x', 'w1', 'b1'], ['h'], { transB: 1 }, { name: 'hidden' }),
    makeNode('Relu', ['h'], ['r']),
    makeNode('Gemm', ['r', 'w2', 'b2'], ['y'], { transB: 1 }, { name: 'out' }),
  ],
  [normal('w1', 12, 6), normal('b1', 12), normal('w2', 3, 12), normal('b2', 3)],
  value('x', 'N', 6),
  value('y', 'N', 3),
);

const random = new Random(9);
const batches = Array.from({ length: 5 }, (): TuningBatch => {
  const inputs = Float32Array.from({ length: 8 * 6 }, () => random.normal());
  // The class is the largest of the first three inputs.
  const labels = Int32Array.from({ length: 8 }, (_, i) => [0, 1, 2].reduce((a, c) => (inputs[6 * i + c] > inputs[6 * i + a] ? c : a), 0));
  return { inputs, labels };
});
const calibration = { inputs: batches[0].inputs, count: 8, shape: [6] };
const setup = (targetSparsity: number): RolloutMasking => ({
  settings: configSchema.parse({ model: 'any.onnx', pruning: { variational: { enabled: true, targetSparsity } } }).pruning.variational,
  batches,
  learningRate: 0.05,
  originalMacs: 12 * 6 + 3 * 12,
  seed: 3,
});

test.each([0.25, 0.5])('%s of the weights are zero afterwards, the others trained', async (sparsity) => {
  const masked = (await maskedAfterNoise(model, calibration, setup(sparsity)))!;
  const values = WEIGHTS.map((name) => masked.graph.initializers.get(name)!.floats());
  const zeros = values.reduce((sum, w) => sum + w.filter((v) => v === 0).length, 0);
  expect(zeros).toBe(108 - Math.floor(108 * (1 - sparsity)));
  values.forEach((w, k) => {
    const before = model.graph.initializers.get(WEIGHTS[k])!.floats();
    expect(w.every((v, i) => v === 0 || v !== before[i])).toBe(true);
  });
});

test('the same model gives the same weights again', async () => {
  const [a, b] = [await maskedAfterNoise(model, calibration, setup(0.5)), await maskedAfterNoise(model, calibration, setup(0.5))];
  for (const name of WEIGHTS) expect(a!.graph.initializers.get(name)!.floats()).toEqual(b!.graph.initializers.get(name)!.floats());
});

test('training that diverges at lower rates too gives nothing, so that no candidate gains by it', async () => {
  expect(await maskedAfterNoise(model, calibration, { ...setup(0.5), learningRate: 1e8 })).toBeUndefined();
});

test('an actor masks what it is told to, and scores that', async () => {
  const { inputs, labels } = batches[1];
  const actor = new CompressionActor({
    model: modelBytes(model),
    scoring: { inputs, labels, count: 8, shape: [6] },
    calibration,
    pruning: { selection: 'l1', reconstruct: false, positions: 1, seed: 1 },
    variational: { ...setup(0.9), learningRate: 0.2 },
  });
  try {
    const plain = await actor.run({ kind: 'prune', decisions: [] });
    const masked = await actor.run({ kind: 'prune', decisions: [], masked: true });
    const expected = await maskedAfterNoise(model, calibration, { ...setup(0.9), learningRate: 0.2 });
    expect(masked.accuracy).toBe(await accuracyOf(expected!, { inputs, labels, count: 8, shape: [6] }));
    expect(masked.accuracy).not.toBe(plain.accuracy);
  } finally {
    await actor.dispose();
  }
});
