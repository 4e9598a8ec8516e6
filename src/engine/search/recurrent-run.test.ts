import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it, vi } from 'vitest';
import { topologies } from '../../../test/topologies';
import { configSchema } from '../../protocol/config';
import { npyBytes, put, raw } from '../data/testing/sample-files';
import { countCosts } from '../graph/costs';
import { loadModel, saveModel } from '../onnx/file';
import { Random } from '../random';
import { accuracyOf, argmaxRows, predict, scoringSignature } from '../runtime/evaluate';
import { startRun } from './run';

// How fast the results are is no part of this: once is enough.
vi.mock('../runtime/latency', async (original) => {
  const real = await original<typeof import('../runtime/latency')>();
  const once: typeof real.measureLatency = (models, shape, batch, options) =>
    real.measureLatency(models, shape, batch, { ...options, rounds: 1 });
  return { ...real, measureLatency: once };
});

const root = mkdtempSync(join(tmpdir(), 'espalier-recurrent-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const { model } = topologies(2).find((t) => t.name === 'LSTM')!;
const shape = [5, 6];

/** Random sequences with the model's own answers as labels. */
async function answered(seed: number, count: number) {
  const random = new Random(seed);
  const inputs = Float32Array.from({ length: count * 30 }, () => random.normal());
  const { scores, classes } = await predict(model, scoringSignature(model), { inputs, shape, count }, { threads: 1 });
  return { inputs, labels: Int32Array.from(argmaxRows(scores, classes)), shape, count };
}

it('an LSTM goes the whole way: half its units, masks, bits for each weight, a file that loads and scores what the run says', async () => {
  const folder = join(root, 'run');
  mkdirSync(folder);
  saveModel(model, join(folder, 'net.onnx'));
  for (const [part, seed, count] of [
    ['train', 4, 64],
    ['test', 5, 40],
  ] as const) {
    const { inputs, labels } = await answered(seed, count);
    put(join(folder, `${part}-x.npy`), npyBytes('<f4', [count, ...shape], raw(inputs)));
    put(join(folder, `${part}-y.npy`), npyBytes('<i4', [count], raw(labels)));
  }
  const files = (part: string) => ({ inputs: `${part}-x.npy`, labels: `${part}-y.npy` });
  const any = { minBits: 2, maxBits: 8 };
  const config = configSchema.parse({
    model: 'net.onnx',
    data: { files: { train: files('train'), test: files('test') }, normalization: { scale: 1 } },
    layers: { lstm: { ratio: 0.5 }, 'lstm.recurrent': { bits: 5 } },
    pruning: {
      calibrationImages: 16,
      final: { calibrationImages: 24 },
      variational: { enabled: true, epochs: 1, retrainEpochs: 1, targetSparsity: 0.2, rolloutSteps: 1 },
    },
    quantization: { averageBits: 4, first: any, last: any, steTuning: 1, epochs: 1, activations: 'float' },
    search: { episodes: 2, actors: 1 },
    agent: { learningStarts: 4, minibatch: 4, hidden: 8 },
    recovery: { epochs: 1, batch: 16, learningRate: 0.01 },
    output: { folder: 'runs' },
    seed: 1,
    threads: 1,
  });
  const { folder: run, result } = await startRun(config, { folder });
  const { layers, before, after } = result;
  const [w, r] = ['lstm', 'lstm.recurrent'].map((name) => layers.find((l) => l.name === name)!);
  expect([w.channelsBefore, w.channelsAfter, r.channelsAfter]).toEqual([32, 16, 16]);
  expect(r.bits).toBe(5);
  expect(w.bits).toBeLessThanOrEqual(8);
  // Masks hold single weights of both at zero.
  for (const layer of [w, r]) expect(layer.effectiveParams).toBeLessThan(layer.params);
  expect(layers.reduce((sum, l) => sum + l.params, 0)).toBe(after.cost.params);
  expect(after.cost.weightBytes).toBeLessThan(before.cost.weightBytes / 4);

  const exported = loadModel(join(run, 'best', 'model.onnx'));
  const lstm = exported.graph.nodes.find((n) => n.opType === 'LSTM')!;
  expect(Number(lstm.attributes.get('hidden_size')?.i)).toBe(4);
  expect(exported.graph.initializers.get('lstm.R.codes')!.dims).toEqual([1, 16, 4]);
  expect(countCosts(exported).macs).toBeLessThan(countCosts(model).macs);
  const { inputs, labels, count } = await answered(5, 40);
  const report = { inputs: inputs.subarray(16 * 30), labels: labels.slice(16), shape, count: count - 16 };
  expect(await accuracyOf(exported, report, { threads: 1 })).toBeCloseTo(after.accuracy, 6);
});
