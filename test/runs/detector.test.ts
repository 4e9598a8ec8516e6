/** A detector from end to end: two outputs, boxes and scores; without labels it is held against the original by what both detect. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it, vi } from 'vitest';
import { npyBytes, put, raw } from '../../src/engine/data/testing/sample-files';
import { UserError } from '../../src/engine/errors';
import { loadModel, saveModel } from '../../src/engine/onnx/file';
import type { Model } from '../../src/engine/onnx/model';
import { GraphBuilder, type Value } from '../../src/engine/ops/builder';
import { Random } from '../../src/engine/random';
import { detectionsOf } from '../../src/engine/runtime/detections';
import { accuracyOf, outputsOf, scoringSignature } from '../../src/engine/runtime/evaluate';
import { prepare } from '../../src/engine/search/prepare';
import { startRun } from '../../src/engine/search/run';
import { configSchema } from '../../src/protocol/config';

vi.mock('../../src/engine/runtime/latency', async (original) => {
  const real = await original<typeof import('../../src/engine/runtime/latency')>();
  const once: typeof real.measureLatency = (models, shape, batch, options) =>
    real.measureLatency(models, shape, batch, { ...options, rounds: 1 });
  return { ...real, measureLatency: once };
});

const root = mkdtempSync(join(tmpdir(), 'espalier-detector-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const SIDE = 16;
const CELLS = 4;
const random = new Random(3);
const weights = (size: number, scale: number): Float32Array => Float32Array.from({ length: size }, () => random.normal() * scale);

/** One box for each of 4 × 4 cells, with the scores of 2 classes: two convolutions of stride 2, and a head for each output. */
function detector(): Model {
  const b = new GraphBuilder(17);
  const x = b.input('image', ['N', 1, SIDE, SIDE]);
  const conv = (from: Value, out: number, name: string, stride: number, scale = 1): Value => {
    const into = from.shape[1];
    const kernel = b.floats(`${name}.weight`, [out, into, 3, 3], weights(out * into * 9, scale / Math.sqrt(into * 9)));
    const bias = b.floats(`${name}.bias`, [out], weights(out, 0.1));
    return b.op('Conv', [from, kernel, bias], { kernel_shape: [3, 3], strides: [stride, stride], pads: [1, 1, 1, 1] }, { name });
  };
  const stem = b.op('Relu', [conv(x, 16, 'stem', 2, 2)]);
  const trunk = b.op('Relu', [conv(stem, 16, 'trunk', 2, 1.4)]);
  const rows = (map: Value, width: number): Value =>
    b.op('Reshape', [b.op('Transpose', [map], { perm: [0, 2, 3, 1] }), b.ints([-1, CELLS * CELLS, width])]);
  const shifts = rows(conv(trunk, 4, 'box', 1, 0.5), 4);
  // Cells of 4 pixels: the centre moves by up to 2, the sides are 4 to 8.
  const cells = Float32Array.from({ length: CELLS * CELLS * 4 }, (_, i) => {
    const cell = i >> 2;
    return [4 * (cell % CELLS) + 2, 4 * Math.floor(cell / CELLS) + 2, 6, 6][i & 3];
  });
  const moved = b.op('Mul', [b.op('Tanh', [shifts]), b.scalar(2)]);
  const boxes = b.op('Add', [moved, b.floats('cells', [1, CELLS * CELLS, 4], cells)]);
  const scores = b.op('Sigmoid', [rows(conv(trunk, 2, 'class', 1, 2), 2)]);
  b.output(boxes, 'boxes', ['N', CELLS * CELLS, 4]);
  b.output(scores, 'scores', ['N', CELLS * CELLS, 2]);
  return b.build('detector');
}

const path = join(root, 'detector.onnx');
const COUNT = 200;
const inputs = join(root, 'images.npy');
saveModel(detector(), path);
put(inputs, npyBytes('<f4', [COUNT, 1, SIDE, SIDE], raw(weights(COUNT * SIDE * SIDE, 1))));

const settings = (data: object): object => ({
  model: path,
  data: { files: { inputs }, normalization: { scale: 1 }, ...data },
  method: 'uniform',
  goal: { flops: 0.8 },
  search: { episodes: 2, actors: 1 },
  pruning: { calibrationImages: 40, positions: 8, widthMultiple: 1, final: { calibrationImages: 40, positions: 8 } },
  recovery: { epochs: 1, batch: 16, learningRate: 0.001 },
});
const detection = { form: 'center', score: 0.6, iou: 0.5 } as const;

it('is compressed, and scored by the detections it shares with the original', async () => {
  const config = configSchema.parse(settings({ metric: 'detections', detection }));
  const { result, folder } = await startRun(config, { folder: root });
  expect([result.measure, result.before.accuracy]).toEqual(['agreement of the detections with the original', 1]);
  expect(result.after.cost.macs).toBeLessThanOrEqual(0.8 * result.before.cost.macs);
  expect(result.after.accuracy).toBeGreaterThan(0.5);
  expect(result.after.accuracy).toBeLessThan(1);
  expect(readFileSync(join(folder, 'report.md'), 'utf8')).toContain('agreement of the detections with the original (100 held-out samples');

  // The same figure by hand: both models' outputs, detection by detection.
  const { data, model } = await prepare(config, { folder: root, threads: 1 });
  const compressed = loadModel(result.after.path);
  expect(await accuracyOf(compressed, data.report)).toBeCloseTo(result.after.accuracy, 10);
  const names = ['boxes', 'scores'];
  const [wanted, given] = [
    await outputsOf(model, scoringSignature(model), names, data.report, { threads: 1 }),
    await outputsOf(compressed, scoringSignature(compressed), names, data.report, { threads: 1 }),
  ];
  const rule = { ...detection, boxes: 'boxes', scores: 'scores' };
  let counted = 0;
  for (let i = 0; i < data.report.count; i++) {
    for (const from of [wanted, given])
      counted += detectionsOf(
        from.get('boxes')!.values.subarray(i * 64, (i + 1) * 64),
        from.get('scores')!.values.subarray(i * 32, (i + 1) * 32),
        rule,
      ).length;
  }
  // There is something to find: more than one detection an image in each.
  expect(counted).toBeGreaterThan(2 * data.report.count);
});

it('says which output is meant where that is not clear', async () => {
  const wrong = configSchema.parse(settings({ metric: 'detections', detection: { ...detection, boxes: 'scores' } }));
  const error = await prepare(wrong, { folder: root, threads: 1 }).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(UserError);
  expect((error as UserError).message).toBe("'data.detection.boxes' names 'scores', which is no output of [batch, boxes, 4]");
  expect((error as UserError).hint).toContain('boxes [N, 16, 4]; scores [N, 16, 2]');
});

it('without the metric all values of both outputs count, as for other models of several outputs', async () => {
  const { data, model } = await prepare(configSchema.parse(settings({})), { folder: root, threads: 1 });
  expect([data.measure, await accuracyOf(model, data.search)]).toEqual(['agreement of the outputs with the original', 1]);
});
