/** Whole models of formats other than ONNX, as the ground from which damaged ones are made. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { strToU8 } from 'fflate';
import { Random } from '../../random';
import type { ModelFiles } from './damage-files';
import { GraphModelBuilder } from './graph-model';

export const KINDS = ['h5', 'keras', 'tfjs', 'tfjs-graph', 'saved-model'] as const;
export type Kind = (typeof KINDS)[number];

/** A layers model of convolutions, batch normalisation, a residual addition and a dense layer. */
function layersModel(): ModelFiles {
  const random = new Random(1);
  const layer = (className: string, name: string, config: object, ...from: string[]): object => ({
    class_name: className,
    name,
    config: { name, ...config },
    inbound_nodes: from.length > 0 ? [from.map((f) => [f, 0, 0, {}])] : [],
  });
  const conv = {
    kernel_size: [3, 3],
    strides: [1, 1],
    padding: 'same',
    use_bias: true,
    dilation_rate: [1, 1],
    data_format: 'channels_last',
  };
  const layers = [
    layer('InputLayer', 'image', { batch_input_shape: [null, 8, 8, 3], dtype: 'float32' }),
    layer('Conv2D', 'stem', { ...conv, filters: 4, activation: 'relu' }, 'image'),
    layer('Conv2D', 'inner', { ...conv, filters: 4 }, 'stem'),
    layer('BatchNormalization', 'norm', { axis: 3, epsilon: 0.001 }, 'inner'),
    layer('Add', 'sum', {}, 'stem', 'norm'),
    layer('MaxPooling2D', 'pool', { pool_size: [2, 2], strides: [2, 2], padding: 'valid' }, 'sum'),
    layer('Flatten', 'flat', {}, 'pool'),
    layer('Dense', 'head', { units: 3, activation: 'softmax' }, 'flat'),
  ];
  const weights: ReadonlyArray<readonly [string, readonly number[]]> = [
    ['stem/kernel', [3, 3, 3, 4]],
    ['stem/bias', [4]],
    ['inner/kernel', [3, 3, 4, 4]],
    ['inner/bias', [4]],
    ...['gamma', 'beta', 'moving_mean', 'moving_variance'].map((n) => [`norm/${n}`, [4]] as const),
    ['head/kernel', [64, 3]],
    ['head/bias', [3]],
  ];
  const specs = weights.map(([name, shape], i) => ({
    name,
    shape,
    dtype: 'float32',
    ...(i === 2 ? { quantization: { dtype: 'uint8', scale: 0.01, min: -1 } } : {}),
  }));
  const bytes = weights.flatMap(([, shape], i) => {
    const size = shape.reduce((a, d) => a * d, 1);
    const data =
      i === 2 ? Uint8Array.from({ length: size }, () => random.below(256)) : Float32Array.from({ length: size }, () => random.uniform());
    return [Buffer.from(data.buffer)];
  });
  const json = {
    format: 'layers-model',
    modelTopology: {
      keras_version: 'tfjs-layers 4.22.0',
      model_config: {
        class_name: 'Functional',
        config: { name: 'net', layers, input_layers: [['image', 0, 0]], output_layers: [['head', 0, 0]] },
      },
    },
    weightsManifest: [{ paths: ['weights.bin'], weights: specs }],
  };
  return new Map([
    ['model.json', strToU8(JSON.stringify(json))],
    ['weights.bin', new Uint8Array(Buffer.concat(bytes))],
  ]);
}

function graphModel(): ModelFiles {
  const g = new GraphModelBuilder();
  const window = { strides: [1, 1, 1, 1], padding: 'SAME', data_format: 'NHWC', dilations: [1, 1, 1, 1] };
  const stem = g.node('_FusedConv2D', 'stem', [g.input('image', 8, 8, 3), g.weight('w', [3, 3, 3, 4]), g.weight('b', [4])], {
    ...window,
    fused_ops: ['BiasAdd', 'Relu'],
    num_args: 1,
  });
  const sum = g.node('AddV2', 'sum', [stem, g.node('DepthwiseConv2dNative', 'inner', [stem, g.weight('v', [3, 3, 4, 1])], window)]);
  const padded = g.node('Pad', 'pad', [sum, g.pairs('pads', 0, 0, 1, 1, 0, 0, 0, 0)]);
  const mean = g.node('Mean', 'mean', [padded, g.ints('axes', 1, 2)], { keep_dims: false });
  const length = g.node('StridedSlice', 'n', [g.node('Shape', 'lengths', [mean]), g.ints('from', 0), g.ints('to', 1), g.ints('by', 1)], {
    begin_mask: 0,
    end_mask: 0,
    ellipsis_mask: 0,
    new_axis_mask: 0,
    shrink_axis_mask: 1,
  });
  const rows = g.node('Reshape', 'rows', [mean, g.node('Pack', 'shape', [length, g.int('four', 4)], { axis: 0, N: 2 })]);
  const both = g.node('ConcatV2', 'both', [rows, rows, g.int('axis', 1)], { N: 2 });
  const { json, bytes } = g.build(
    g.node('Softmax', 'answer', [
      g.node('BiasAdd', 'biased', [
        g.node('MatMul', 'head', [both, g.weight('k', [8, 3])], { transpose_a: false, transpose_b: false }),
        g.weight('c', [3]),
      ]),
    ]),
  );
  return new Map([
    ['model.json', strToU8(JSON.stringify(json))],
    ['group1-shard1of1.bin', bytes],
  ]);
}

const SAVED_MODEL_FILES = ['saved_model.pb', 'variables/variables.index', 'variables/variables.data-00000-of-00001'];

function savedModels(folder: string): ModelFiles[] {
  const names = existsSync(folder) ? readdirSync(folder).filter((n) => existsSync(join(folder, n, SAVED_MODEL_FILES[0]))) : [];
  return names.sort().map((n) => new Map(SAVED_MODEL_FILES.map((f) => [f, new Uint8Array(readFileSync(join(folder, n, f)))])));
}

/** @param fixtures the folder of the tests' Keras files and SavedModels */
export function wholeModels(kind: Kind, fixtures: string): ModelFiles[] {
  if (kind === 'tfjs') return [layersModel()];
  if (kind === 'tfjs-graph') return [graphModel()];
  if (kind === 'saved-model') return savedModels(join(fixtures, 'saved-model'));
  const names = existsSync(fixtures) ? readdirSync(fixtures).filter((n) => n.endsWith(`.${kind}`)) : [];
  return names.sort().map((n) => new Map([[n, new Uint8Array(readFileSync(join(fixtures, n)))]]));
}
