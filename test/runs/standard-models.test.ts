/**
 * Published networks as they came, from a config that says no more than model, data and goal: nothing in it knows the network. How few images and
 * scorings there are only makes the runs short. Every figure of the result is measured once more, from the exported file alone.
 */
import { existsSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { countCosts } from '../../src/engine/graph/costs';
import { inferTypes } from '../../src/engine/graph/infer';
import { normalize } from '../../src/engine/graph/passes/normalize';
import { loadModel } from '../../src/engine/onnx/file';
import { elementCount } from '../../src/engine/onnx/tensor';
import { floatTensor, Session } from '../../src/engine/runtime/onnxruntime';
import { prepare } from '../../src/engine/search/prepare';
import { type RunResult, startRun } from '../../src/engine/search/run';
import { type ConfigInput, configSchema } from '../../src/protocol/config';
import { workFolder } from './fixtures/short-run';

// How fast the results are is no part of this: once is enough.
vi.mock('../../src/engine/runtime/latency', async (original) => {
  const real = await original<typeof import('../../src/engine/runtime/latency')>();
  const once: typeof real.measureLatency = (models, shape, batch, options) =>
    real.measureLatency(models, shape, batch, { ...options, rounds: 1 });
  return { ...real, measureLatency: once };
});

interface Case {
  readonly model: string;
  readonly data: ConfigInput['data'];
  readonly goal: { readonly flops: number; readonly bytes?: number };
  /** Least accuracy of the file as it came: below it, the pre-processing was not found. */
  readonly original: number;
}

const data = process.env['ESPALIER_DATA'] ?? '';
const models = join(data, 'models');
/** All parts of one set: the images of a folder have no others. */
const parts = (search: number, report: number, calibration: number) => ({
  search: { set: 'test' as const, from: 0, count: search },
  report: { set: 'test' as const, from: search, count: report },
  calibration: { set: 'test' as const, from: search + report, count: calibration },
  train: { set: 'test' as const, from: search + report, count: calibration },
});
const pictures: ConfigInput['data'] = {
  files: { test: join(data, 'imagenet-samples', 'images') },
  images: { limit: 56 },
  splits: parts(12, 32, 12),
};

const cases: Readonly<Record<string, Case>> = {
  'MobileNet-v2': { model: 'imagenet_mobilenetv2_1.0_224_qat.onnx', data: pictures, goal: { flops: 0.9 }, original: 0.75 },
  'MobileNet-v1': { model: 'imagenet_mobilenetv1_0.25_128_qat.onnx', data: pictures, goal: { flops: 0.8 }, original: 0.25 },
  'ResNet-56': {
    model: 'cifar10_resnet56.onnx',
    data: { name: 'cifar10', folder: data, splits: parts(20, 40, 20) },
    goal: { flops: 0.8, bytes: 0.2 },
    original: 0.85,
  },
  'CNTK MNIST': {
    model: 'mnist_cntk_cnn_opset8.onnx',
    data: { name: 'mnist', folder: data, splits: parts(50, 100, 50) },
    goal: { flops: 0.7, bytes: 0.3 },
    original: 0.95,
  },
};

/** The one config of all: no layer is named, no normalisation said. */
const shared = {
  method: 'uniform',
  pruning: { selection: 'l1', refit: false, calibrationImages: 8, positions: 16, final: { calibrationImages: 8, positions: 16 } },
  quantization: { activations: 'float', epochs: 0 },
  search: { episodes: 1, actors: 1 },
  recovery: { epochs: 0 },
  output: { folder: 'runs' },
  seed: 2,
  threads: 1,
} satisfies Partial<ConfigInput>;

const present = data !== '' && Object.values(cases).every((c) => existsSync(join(models, c.model)));

/** The largest of each row. */
const classesOf = (scores: Float32Array, rows: number): number[] =>
  Array.from({ length: rows }, (_, r) => {
    const row = scores.subarray((r * scores.length) / rows, ((r + 1) * scores.length) / rows);
    return row.indexOf(Math.max(...row));
  });

describe.skipIf(!present)('published networks (needs ESPALIER_DATA)', () => {
  let root: string;
  beforeAll(() => {
    root = workFolder('standard');
  });
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  test.each(Object.entries(cases))(
    '%s is compressed with no hand-written help',
    async (_, { model, data: samples, goal, original }) => {
      const config = configSchema.parse({
        ...shared,
        model: join(models, model),
        data: samples,
        goal,
        stages: { prune: true, quantize: goal.bytes !== undefined },
      });
      const { folder, goalMet, result } = await startRun(config, { folder: root });
      const stored = JSON.parse(readFileSync(join(folder, 'checkpoint', 'finished.json'), 'utf8')) as Pick<RunResult, 'goalMet' | 'result'>;
      expect(stored).toMatchObject({ goalMet, result: JSON.parse(JSON.stringify(result)) });
      expect(goalMet).toBe(true);
      expect(result.before.accuracy).toBeGreaterThanOrEqual(original);

      // The file keeps to the goal, and holds what the result says: layers, parameters, multiply-accumulates, bytes on disk.
      const { path } = result.after;
      const exported = loadModel(path);
      const floats = normalize(exported, { dequantize: true }).model;
      const costs = countCosts(floats, inferTypes(floats, { batch: 1 }));
      expect(costs.macs).toBe(result.after.cost.macs);
      expect(costs.params).toBe(result.after.cost.params);
      expect(costs.macs).toBeLessThanOrEqual(goal.flops * result.before.cost.macs);
      expect(costs.macs).toBeGreaterThan(0.5 * goal.flops * result.before.cost.macs);
      expect(statSync(path).size).toBe(result.after.cost.fileBytes);
      if (goal.bytes !== undefined) expect(result.after.cost.weightBytes).toBeLessThanOrEqual(goal.bytes * result.before.cost.weightBytes);
      for (const layer of result.layers) expect(costs.layers.find((c) => c.name === layer.name)?.macs).toBe(layer.macs);
      expect(result.layers.some((l) => l.channelsAfter < l.channelsBefore)).toBe(true);

      // onnxruntime takes one sample and 32 at a time, and answers each sample alike.
      const { data: own } = await prepare(config, { folder: root });
      const { inputs, labels, shape, count } = own.report;
      const size = elementCount(shape);
      const session = await Session.create(readFileSync(path), { threads: 1 });
      const [input] = session.inputNames;
      const [output] = session.outputNames;
      const answer = async (from: number, rows: number): Promise<Float32Array> => {
        const feed = floatTensor(inputs.slice(from * size, (from + rows) * size), [rows, ...shape]);
        const scores = (await session.run({ [input]: feed }))[output];
        expect(scores.shape[0]).toBe(rows);
        return scores.data as Float32Array;
      };
      const many = await answer(0, 32);
      const classes = many.length / 32;
      const largest = Math.max(...many.map(Math.abs));
      for (const row of [0, 31]) {
        const alone = await answer(row, 1);
        alone.forEach((v, i) => {
          expect(Math.abs(v - many[row * classes + i])).toBeLessThan(1e-4 * largest);
        });
      }

      // The accuracy that is reported, by hand.
      let right = 0;
      for (let from = 0; from < count; from += 32) {
        const rows = Math.min(32, count - from);
        right += classesOf(await answer(from, rows), rows).filter((c, i) => c === labels[from + i]).length;
      }
      await session.release();
      expect(count).toBe(result.after.images);
      expect(right / count).toBeCloseTo(result.after.accuracy, 10);
      expect(result.after.latency.map((l) => l.batch)).toEqual([1, 32]);
    },
    // Half a minute at most where the machine is idle.
    900_000,
  );
});
