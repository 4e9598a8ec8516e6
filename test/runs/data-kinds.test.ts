/** Runs from end to end on data of every kind: several inputs, token ids, values, several labels, outputs without labels, folders of images. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { encode } from 'fast-png';
import { zipSync } from 'fflate';
import { afterAll, describe, expect, it } from 'vitest';
import { npyBytes, put, raw } from '../../src/engine/data/testing/sample-files';
import { findChannelGroups } from '../../src/engine/graph/channel-groups';
import { loadModel, saveModel } from '../../src/engine/onnx/file';
import { type Model, withGraph } from '../../src/engine/onnx/model';
import { GraphBuilder, type Value } from '../../src/engine/ops/builder';
import { SequentialPruner } from '../../src/engine/pruning/prune-sequence';
import { maskChannels, otherChannels } from '../../src/engine/pruning/remove-channels';
import { activationRanges } from '../../src/engine/quantization/activation-ranges';
import { Random } from '../../src/engine/random';
import { accuracyOf, predict, scoringSignature } from '../../src/engine/runtime/evaluate';
import { Session } from '../../src/engine/runtime/onnxruntime';
import { type Prepared, prepare } from '../../src/engine/search/prepare';
import { type RunResult, startRun } from '../../src/engine/search/run';
import { scanSensitivity } from '../../src/engine/search/sensitivity';
import { expectRightGradients } from '../../src/engine/training/testing/gradients';
import { fill } from '../../src/engine/training/testing/networks';
import { Trainer } from '../../src/engine/training/trainer';
import { configSchema } from '../../src/protocol/config';

const root = mkdtempSync(join(tmpdir(), 'espalier-kinds-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const COUNT = 240;

/** wide [N, 6] and word (int64 [N, 3] → embedding → mean) → concat → fc1 → softplus → fc2 → scores */
function twoInputs(outputs = 3): Model {
  const b = new GraphBuilder(17);
  const wide = b.input('wide', ['N', 6]);
  const word = b.input('word', ['N', 3], 'int64');
  const rows = b.op('Gather', [b.floats('embedding', [7, 4], fill(28, 1, 1)), word], { axis: 0 });
  const mean = b.op('ReduceMean', [rows], { axes: [1], keepdims: 0 });
  return head(b, b.op('Concat', [wide, mean], { axis: 1 }), 10, outputs, 'scores');
}

function head(b: GraphBuilder, x: Value, width: number, outputs: number, name: string, last?: 'Sigmoid'): Model {
  const linear = (value: Value, layer: string, from: number, to: number, seed: number): Value =>
    b.op(
      'Gemm',
      [
        value,
        b.floats(`${layer}.weight`, [to, from], fill(to * from, seed, Math.sqrt(3 / from))),
        b.floats(`${layer}.bias`, [to], fill(to, seed + 1, 0.1)),
      ],
      { transB: 1 },
      { name: layer },
    );
  const hidden = b.op('Softplus', [linear(x, 'fc1', width, 12, 5)]);
  const out = linear(hidden, 'fc2', 12, outputs, 9);
  b.output(last ? b.op(last, [out]) : out, name, ['N', outputs]);
  return b.build('net');
}

/** A network of numbers. */
function ofNumbers(outputs: number, last?: 'Sigmoid'): Model {
  const b = new GraphBuilder(17);
  return head(b, b.input('x', ['N', 4]), 4, outputs, 'y', last);
}

const quick = {
  method: 'uniform',
  goal: { flops: 0.7 },
  stages: { prune: true, quantize: true },
  search: { episodes: 2, actors: 1 },
  pruning: { calibrationImages: 40, final: { calibrationImages: 40 } },
  recovery: { epochs: 2, learningRate: 0.01, batch: 16, weightDecay: 0 },
  quantization: { epochs: 1 },
  threads: 1,
};

const f4 = (shape: readonly number[], values: Float32Array): Uint8Array => npyBytes('<f4', shape, raw(values));
const wide = fill(COUNT * 6, 31, 1);
const word = BigInt64Array.from({ length: COUNT * 3 }, (_, i) => BigInt((i * 5 + (i >> 3)) % 7));

/** Answers of the two-input network by feeding onnxruntime itself. */
async function byHand(model: Model): Promise<Float32Array> {
  const session = await Session.create(model, { threads: 1 });
  const result = await session.run({
    wide: { type: 'float32', shape: [COUNT, 6], data: wide },
    word: { type: 'int64', shape: [COUNT, 3], data: word },
  });
  await session.release();
  return result['scores'].data as Float32Array;
}

const best = (scores: Float32Array, row: number, width: number): number => {
  const own = [...scores.subarray(row * width, (row + 1) * width)];
  return own.indexOf(Math.max(...own));
};

describe('several inputs', () => {
  const model = twoInputs();
  const modelPath = join(root, 'two.onnx');
  const archive = join(root, 'two.npz');

  async function prepared(): Promise<Prepared> {
    saveModel(model, modelPath);
    const scores = await byHand(model);
    // Every fifth label is wrong.
    const labels = Int32Array.from({ length: COUNT }, (_, i) => (best(scores, i, 3) + (i % 5 === 0 ? 1 : 0)) % 3);
    put(
      archive,
      zipSync({
        'wide.npy': f4([COUNT, 6], wide),
        'word.npy': npyBytes('<i8', [COUNT, 3], raw(word)),
        'y.npy': npyBytes('<i4', [COUNT], raw(labels)),
      }),
    );
    return prepare(configSchema.parse({ model: modelPath, data: { files: { test: archive } }, ...quick }), { folder: root, threads: 1 });
  }

  it('an archive with an array for each feeds them; accuracy is as by hand', async () => {
    const p = await prepared();
    expect(p.data.search.fields).toEqual([
      { name: 'wide', shape: [6] },
      { name: 'word', shape: [3] },
    ]);
    expect([p.data.search.count, p.data.report.count, p.data.measure]).toEqual([30, 120, 'accuracy']);
    // Layers are fitted to the first 90, as many of them as the config wants.
    expect(p.data.calibration.count).toBe(40);
    expect(p.notes).toContain(
      'reconstruction uses 40 samples, fine-tuning uses 90, the search scores on 30 others, the report on 120 others still',
    );
    const wrong = Array.from({ length: 30 }, (_, i) => 90 + i).filter((i) => i % 5 === 0).length;
    expect(await accuracyOf(p.model, p.data.search)).toBeCloseTo(1 - wrong / 30, 10);
    const { scores } = await predict(p.model, scoringSignature(p.model), p.data.search, { threads: 1 });
    const expected = await byHand(p.model);
    scores.forEach((v, i) => {
      expect(v).toBeCloseTo(expected[90 * 3 + i], 5);
    });
  });

  it('channels are cut and layers rebuilt with both; without rebuilding the result is the masked network', async () => {
    const p = await prepared();
    const group = findChannelGroups(p.model).groups.find((g) => g.id === 'fc1')!;
    const pruner = await SequentialPruner.create(p.model, p.groups, p.data.calibration, new Random(1), {
      selection: 'l1',
      reconstruct: false,
    });
    const { kept } = await pruner.prune('fc1', { keep: 7 });
    const cut = (await predict(pruner.model, scoringSignature(pruner.model), p.data.report, { threads: 1 })).scores;
    const masked = maskChannels(p.model, new Map([[group.id, otherChannels(group, kept)]]), [group]);
    const expected = (await predict(masked, scoringSignature(masked), p.data.report, { threads: 1 })).scores;
    cut.forEach((v, i) => {
      expect(v).toBeCloseTo(expected[i], 4);
    });
    await pruner.release();
    const rebuilding = await SequentialPruner.create(p.model, p.groups, p.data.calibration, new Random(1), {});
    const step = await rebuilding.prune('fc1', { keep: 7 });
    expect(step.rebuilt.map((r) => r.layer)).toContain('fc2');
    expect(await accuracyOf(await rebuilding.finished(), p.data.report)).toBeGreaterThanOrEqual(await accuracyOf(masked, p.data.report));
    await rebuilding.release();
  });

  it('ranges, sensitivity and training take both', async () => {
    const p = await prepared();
    const ranges = await activationRanges(p.model, ['wide'], p.data.calibration, { threads: 1 });
    expect(ranges.get('wide')!.max).toBeGreaterThan(0.5);
    const config = configSchema.parse({ model: modelPath });
    const scan = await scanSensitivity(p, config, { ratios: [0.5], bits: [2], threads: 1, widthMultiple: 1 });
    expect(scan.baseline).toBe(await accuracyOf(p.model, p.data.search, { threads: 1 }));
    expect(scan.done).toBe(scan.total);
    const rows = p.data.search.inputs.slice(0, 8 * 9);
    const batch = { inputs: rows, labels: p.data.search.labels.slice(0, 8) };
    const gradients = await expectRightGradients(p.model, batch, () => ({ batch: 8 }));
    expect(gradients.has('embedding')).toBe(true);
  });

  it('a whole run, and a data set that lacks an input is refused', async () => {
    await prepared();
    const result = await startRun(configSchema.parse({ model: modelPath, data: { files: { test: archive } }, ...quick }), { folder: root });
    expect(result.result.after.cost.macs).toBeLessThanOrEqual(0.7 * result.result.before.cost.macs + 1);
    expect(await accuracyOf(loadModel(result.result.after.path), (await prepared()).data.report)).toBeCloseTo(
      result.result.after.accuracy,
      10,
    );
    put(join(root, 'one.npz'), zipSync({ 'wide.npy': f4([COUNT, 6], wide) }));
    const half = configSchema.parse({ model: modelPath, data: { files: { inputs: join(root, 'one.npz') } } });
    await expect(prepare(half, { folder: root })).rejects.toMatchObject({ name: 'UserError', message: /holds the arrays wide/ });
    put(join(root, 'x.npy'), f4([COUNT, 6], wide));
    const plain = configSchema.parse({ model: modelPath, data: { files: { inputs: join(root, 'x.npy') } } });
    await expect(prepare(plain, { folder: root })).rejects.toMatchObject({
      name: 'UserError',
      message: 'the model has 2 inputs (wide, word), but the data has samples for one',
    });
  });
});

/** A run on a table whose truth is made from the network's own answers. */
async function onTable(
  name: string,
  model: Model,
  labels: (answers: Float32Array, row: number) => string,
  data: object,
  change: object = {},
): Promise<RunResult> {
  const path = join(root, `${name}.onnx`);
  saveModel(model, path);
  const inputs = fill(COUNT * 4, 77, 1);
  const width = model.graph.outputs[0].shape![1] as number;
  const { scores } = await predict(model, scoringSignature(model), { inputs, shape: [4], count: COUNT }, { threads: 1 });
  const rows = Array.from(
    { length: COUNT },
    (_, i) => `${[...inputs.subarray(4 * i, 4 * i + 4)].join(',')},${labels(scores.subarray(i * width, (i + 1) * width), i)}`,
  );
  const names = labels(scores.subarray(0, width), 0)
    .split(',')
    .map((_, i) => `t${i}`);
  put(join(root, `${name}.csv`), new TextEncoder().encode(`a,b,c,d,${names.join(',')}\n${rows.join('\n')}\n`));
  const config = configSchema.parse({
    model: path,
    ...quick,
    ...change,
    data: { files: { train: join(root, `${name}.csv`) }, csv: { label: names }, ...data },
  });
  return startRun(config, { folder: root });
}

describe('tables', () => {
  it('regression: the score is R², fine-tuning meets the values', async () => {
    const run = await onTable('values', ofNumbers(2), (y) => [...y].join(','), {});
    expect(run.result.measure).toBe('R² (1 − MSE / variance)');
    expect(run.result.before.accuracy).toBeCloseTo(1, 5);
    expect(run.result.after.accuracy).toBeGreaterThan(0.9);
  });

  it('several labels: F1 behind a sigmoid', async () => {
    const run = await onTable('labels', ofNumbers(3, 'Sigmoid'), (y) => [...y].map((v) => (v > 0.5 ? 1 : 0)).join(','), {});
    expect([run.result.measure, run.result.before.accuracy]).toEqual(['F1', 1]);
    expect(run.result.after.accuracy).toBeGreaterThan(0.7);
  });

  it('words as labels; one score behind a sigmoid is two classes', async () => {
    const run = await onTable(
      'words',
      ofNumbers(1, 'Sigmoid'),
      ([y]) => (y > 0.5 ? 'yes' : 'no'),
      { csv: { label: 't0' } },
      { recovery: { epochs: 0 }, quantization: { epochs: 0 } },
    );
    expect([run.result.measure, run.result.before.accuracy]).toEqual(['accuracy', 1]);
  });
});

describe('training', () => {
  it('values and labels: gradients of their losses', async () => {
    const inputs = fill(6 * 4, 3, 1);
    const targets = fill(6 * 2, 4, 1);
    const values = { crossEntropy: 0, targets: { kind: 'squared-error', weight: 0.7 }, logitsDistance: 0.3 } as const;
    await expectRightGradients(ofNumbers(2), { inputs, targets, teacherLogits: fill(12, 8, 1) }, () => ({ batch: 6, loss: values }));
    const labels = { crossEntropy: 0, targets: { kind: 'binary-cross-entropy', weight: 1 } } as const;
    const yes = Float32Array.from(targets, (v) => (v > 0 ? 1 : 0));
    await expectRightGradients(ofNumbers(2, 'Sigmoid'), { inputs, targets: yes }, () => ({ batch: 6, loss: labels }));
  });

  it('binary cross-entropy is −Σ y·log p + (1 − y)·log(1 − p) of the probabilities', async () => {
    const model = ofNumbers(2, 'Sigmoid');
    const inputs = fill(6 * 4, 3, 1);
    const targets = Float32Array.from(fill(12, 4, 1), (v) => (v > 0 ? 1 : 0));
    const { scores } = await predict(model, scoringSignature(model), { inputs, shape: [4], count: 6 }, { threads: 1 });
    const expected = -targets.reduce((sum, y, i) => sum + y * Math.log(scores[i]) + (1 - y) * Math.log(1 - scores[i]), 0) / 6;
    const loss = { crossEntropy: 0, targets: { kind: 'binary-cross-entropy', weight: 1 } } as const;
    const trainer = await Trainer.create(model, { batch: 6, loss, threads: 1 });
    expect((await trainer.step({ inputs, targets }, 0)).loss).toBeCloseTo(expected, 4);
    await trainer.dispose();
  });
});

it('several outputs without labels: agreement of all of them with the original', async () => {
  const one = ofNumbers(2);
  // A second output, as detectors have: the hidden values.
  const hidden = one.graph.nodes.find((n) => n.opType === 'Softplus')!.outputs[0];
  const model = withGraph(one, { outputs: [...one.graph.outputs, { name: hidden, type: 'float32', shape: ['N', 12] }] });
  const path = join(root, 'outputs.onnx');
  saveModel(model, path);
  put(join(root, 'outputs.npy'), f4([COUNT, 4], fill(COUNT * 4, 77, 1)));
  const config = configSchema.parse({
    model: path,
    ...quick,
    stages: { prune: false, quantize: true },
    data: { files: { inputs: join(root, 'outputs.npy') } },
  });
  const { result, folder } = await startRun(config, { folder: root });
  expect([result.measure, result.before.accuracy]).toEqual(['agreement of the outputs with the original', 1]);
  expect(readFileSync(join(folder, 'report.md'), 'utf8')).toMatch(
    /## Notes\n\n(?:- .*\n)*- reconstruction uses 40 samples, fine-tuning \(towards the answers of the original\) uses 90, the search scores on 30 others/,
  );
  expect(result.after.accuracy).toBeLessThan(1);
  expect(result.after.accuracy).toBeGreaterThan(0.5);
});

it('a folder of images, with the pre-processing that the model states', async () => {
  const b = new GraphBuilder(17);
  const x = b.input('image', ['N', 3, 8, 8]);
  const map = b.op('Relu', [
    b.op(
      'Conv',
      [x, b.floats('conv.weight', [8, 3, 3, 3], fill(216, 3, 0.4))],
      { kernel_shape: [3, 3], pads: [1, 1, 1, 1] },
      { name: 'conv' },
    ),
  ]);
  const built = head(b, b.op('Flatten', [b.op('GlobalAveragePool', [map])]), 8, 2, 'scores');
  const model: Model = {
    ...built,
    metadata: new Map([
      ['mean', '0.5, 0.4, 0.3'],
      ['std', '0.2'],
      ['resize', '8'],
    ]),
  };
  const path = join(root, 'images.onnx');
  saveModel(model, path);
  const folder = join(root, 'pictures');
  const random = new Random(4);
  for (let i = 0; i < 30; i++) {
    const file = join(folder, i % 2 ? 'dark' : 'light', `${i}.png`);
    mkdirSync(dirname(file), { recursive: true });
    const data = new Uint8Array(12 * 8 * 3).map(() => (i % 2 ? 0 : 120) + random.below(100));
    writeFileSync(file, encode({ width: 12, height: 8, data, channels: 3 }));
  }
  const p = await prepare(configSchema.parse({ model: path, data: { files: { test: folder } } }), { folder: root, threads: 1 });
  expect(p.data.normalization).toEqual({ scale: 1 / 255, mean: [0.5, 0.4, 0.3], std: [0.2] });
  expect(p.notes.join('\n')).toMatch(
    /the model states its pre-processing: shorter side to 8; scale 0\.003922, mean 0\.5, 0\.4, 0\.3, std 0\.2/,
  );
  expect([p.data.search.count + p.data.report.count, p.data.shape]).toEqual([30, [3, 8, 8]]);
  const own = await prepare(
    configSchema.parse({ model: path, data: { files: { inputs: folder }, normalization: { scale: 1 }, images: { resize: 10 } } }),
    { folder: root, threads: 1 },
  );
  expect([own.data.normalization.scale, own.data.labelled, own.data.measure]).toEqual([1, false, 'agreement with the original']);
});
