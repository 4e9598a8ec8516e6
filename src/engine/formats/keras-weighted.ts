/** Layers with weights: convolutions, dense layers and batch normalisation. */
import type { Value } from '../ops/builder';
import { activate } from './keras-activations';
import {
  type Carried,
  carried,
  DAMAGED,
  flagOf,
  graphAxis,
  type LayerContext,
  type LayerReader,
  lengthsOf,
  numberOf,
  only,
  padsAttribute,
  refuse,
  spatialLengths,
  textOf,
  windowPads,
} from './keras-context';
import { isList } from './keras-topology';
import { permuted, reshapedWeight, rowsInOrder, type Weight } from './weights';

const ones = (count: number): number[] => Array.from({ length: count }, () => 1);
const hasBias = (c: LayerContext): boolean => flagOf(c.config, 'use_bias', true);

/** A dimension that a weight must have. */
function unitsOf(c: LayerContext, field: string): number {
  const units = numberOf(c, field, 0);
  if (!Number.isInteger(units) || units < 1) refuse(c, `has ${units} ${field}`, DAMAGED);
  return units;
}

const bias = (c: LayerContext, count: number): Value | undefined =>
  hasBias(c) ? c.constant('bias', c.weight('bias', [count])) : undefined;

interface Convolution {
  readonly x: Value;
  readonly weight: Value;
  readonly bias?: Value;
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly group: number;
  readonly part?: string;
}

function convolve(c: LayerContext, v: Convolution): Value {
  const pads = padsAttribute(windowPads(c, v.x.shape.slice(2), v.kernel, v.strides, v.dilations));
  const attributes = { kernel_shape: v.kernel, strides: v.strides, dilations: v.dilations, group: v.group, pads };
  return c.op('Conv', v.bias ? [v.x, v.weight, v.bias] : [v.x, v.weight], attributes, v.part);
}

/** Kernels lie as [kernel…, in / groups, out] in the source and as [out, in / groups, kernel…] in the graph. */
const outputsFirst = (w: Weight): Weight => {
  const rank = w.dims.length - 2;
  return permuted(w, [rank + 1, rank, ...ones(rank).map((_, i) => i)]);
};

const convolution =
  (rank: number): LayerReader =>
  (c) => {
    const x = only(c).value;
    spatialLengths(c, x, rank);
    const filters = unitsOf(c, 'filters');
    const kernel = lengthsOf(c, 'kernel_size', rank, []);
    const group = numberOf(c, 'groups', 1);
    const weight = c.constant('kernel', outputsFirst(c.weight('kernel', [...kernel, x.shape[1] / group, filters])));
    const y = convolve(c, {
      x,
      weight,
      bias: bias(c, filters),
      kernel,
      strides: lengthsOf(c, 'strides', rank, ones(rank)),
      dilations: lengthsOf(c, 'dilation_rate', rank, ones(rank)),
      group,
    });
    return carried(activate(c, y, c.config['activation']));
  };

/** [kernel…, channels, multiplier] in the source; output channel c · multiplier + m in both. */
function depthwiseKernel(
  c: LayerContext,
  names: readonly string[],
  kernel: readonly number[],
  channels: number,
  multiplier: number,
): Value {
  const rank = kernel.length;
  const turned = permuted(c.weight(names, [...kernel, channels, multiplier]), [rank, rank + 1, ...kernel.map((_, i) => i)]);
  return c.constant(names[0], reshapedWeight(turned, [channels * multiplier, 1, ...kernel]));
}

const depthwise =
  (rank: number): LayerReader =>
  (c) => {
    const x = only(c).value;
    spatialLengths(c, x, rank);
    const channels = x.shape[1];
    const kernel = lengthsOf(c, 'kernel_size', rank, []);
    const multiplier = numberOf(c, 'depth_multiplier', 1);
    const y = convolve(c, {
      x,
      weight: depthwiseKernel(c, ['depthwise_kernel', 'kernel'], kernel, channels, multiplier),
      bias: bias(c, channels * multiplier),
      kernel,
      strides: lengthsOf(c, 'strides', rank, ones(rank)),
      dilations: lengthsOf(c, 'dilation_rate', rank, ones(rank)),
      group: channels,
    });
    return carried(activate(c, y, c.config['activation']));
  };

/** A depthwise convolution, then one of 1×1 that mixes its channels. */
const separable =
  (rank: number): LayerReader =>
  (c) => {
    const x = only(c).value;
    spatialLengths(c, x, rank);
    const channels = x.shape[1];
    const filters = unitsOf(c, 'filters');
    const kernel = lengthsOf(c, 'kernel_size', rank, []);
    const multiplier = numberOf(c, 'depth_multiplier', 1);
    const apart = convolve(c, {
      x,
      weight: depthwiseKernel(c, ['depthwise_kernel'], kernel, channels, multiplier),
      kernel,
      strides: lengthsOf(c, 'strides', rank, ones(rank)),
      dilations: lengthsOf(c, 'dilation_rate', rank, ones(rank)),
      group: channels,
      part: 'depthwise',
    });
    const pointwise = c.constant(
      'pointwise_kernel',
      outputsFirst(c.weight('pointwise_kernel', [...ones(rank), channels * multiplier, filters])),
    );
    const y = convolve(c, {
      x: apart,
      weight: pointwise,
      bias: bias(c, filters),
      kernel: ones(rank),
      strides: ones(rank),
      dilations: ones(rank),
      group: 1,
    });
    return carried(activate(c, y, c.config['activation']));
  };

/** Kernels lie as [kernel…, out, in] in the source and as [in, out, kernel…] in the graph. */
const transposed =
  (rank: number): LayerReader =>
  (c) => {
    const x = only(c).value;
    const lengths = spatialLengths(c, x, rank);
    const filters = unitsOf(c, 'filters');
    const kernel = lengthsOf(c, 'kernel_size', rank, []);
    const strides = lengthsOf(c, 'strides', rank, ones(rank));
    const dilations = lengthsOf(c, 'dilation_rate', rank, ones(rank));
    if (dilations.some((d) => d !== 1)) refuse(c, 'is transposed and dilated at once');
    if (c.config['output_padding'] !== undefined && c.config['output_padding'] !== null) refuse(c, 'sets its output_padding');
    const padding = textOf(c.config, 'padding', 'valid');
    if (padding !== 'same' && padding !== 'valid') refuse(c, `has the padding '${padding}'`, DAMAGED);
    // The output is as long as an input would be whose convolution, padded in the same way, has this layer's input as its output.
    const spare = kernel.map((k, i) => k - strides[i]);
    const cut = spare.map((s) => (padding === 'same' ? Math.max(0, s) : 0));
    const added = spare.map((s) => Math.max(0, -s));
    const before = cut.map((t) => Math.floor(t / 2));
    const after = cut.map((t, i) => t - before[i]);
    const weight = c.constant('kernel', outputsFirst(c.weight('kernel', [...kernel, filters, x.shape[1]])));
    const output = lengths.map((d, i) => strides[i] * (d - 1) + kernel[i] + added[i] - cut[i]);
    const b = bias(c, filters);
    const y = c.op(
      'ConvTranspose',
      b ? [x, weight, b] : [x, weight],
      {
        kernel_shape: kernel,
        strides,
        pads: padsAttribute({ before, after }),
        output_padding: added.some((a) => a > 0) ? added : undefined,
      },
      '',
      { types: [{ type: x.type, shape: [x.shape[0], filters, ...output] }] },
    );
    return carried(activate(c, y, c.config['activation']));
  };

/** On flat values a matrix product; along the channels of more axes a convolution of one place, which is the same sum. */
const dense: LayerReader = (c) => {
  const { value: x, order } = only(c);
  const units = unitsOf(c, 'units');
  const rank = x.shape.length - 2;
  if (rank > 0 && c.layout === 'first')
    refuse(c, 'works along the last axis, which holds no channels here (the model keeps channels first)');
  // Rows are in the order in which the graph, not the source, flattens.
  const kernel = permuted(rowsInOrder(c.weight('kernel', [x.shape[1], units]), order), [1, 0]);
  if (rank === 0) {
    const weight = c.constant('kernel', kernel);
    const b = bias(c, units);
    const y = c.op('Gemm', b ? [x, weight, b] : [x, weight], { transB: 1 });
    return carried(activate(c, y, c.config['activation']));
  }
  const weight = c.constant('kernel', reshapedWeight(kernel, [units, x.shape[1], ...ones(rank)]));
  const b = bias(c, units);
  const y = c.op('Conv', b ? [x, weight, b] : [x, weight], { kernel_shape: ones(rank) });
  return carried(activate(c, y, c.config['activation']));
};

const batchNormalization: LayerReader = (c): Carried => {
  const { value: x, order } = only(c);
  const given = c.config['axis'];
  const axis = isList(given) && given.length === 1 ? given[0] : (given ?? -1);
  if (typeof axis !== 'number' || graphAxis(c, axis, x.shape.length) !== 1)
    refuse(c, `normalises along axis ${JSON.stringify(given)}, which does not hold the channels`);
  const count = x.shape[1];
  const filled = (value: number): Weight => ({ dims: [count], data: new Float32Array(count).fill(value) });
  const parameter = (name: string, present: boolean, otherwise: number): Value =>
    c.constant(name, present ? rowsInOrder(c.weight(name, [count]), order) : filled(otherwise));
  const y = c.op(
    'BatchNormalization',
    [
      x,
      parameter('gamma', flagOf(c.config, 'scale', true), 1),
      parameter('beta', flagOf(c.config, 'center', true), 0),
      parameter('moving_mean', true, 0),
      parameter('moving_variance', true, 1),
    ],
    { epsilon: { float: numberOf(c, 'epsilon', 1e-3) }, momentum: { float: numberOf(c, 'momentum', 0.99) } },
  );
  return carried(y, order);
};

export const weightedLayers: Readonly<Record<string, LayerReader>> = {
  Conv1D: convolution(1),
  Conv2D: convolution(2),
  Conv3D: convolution(3),
  DepthwiseConv1D: depthwise(1),
  DepthwiseConv2D: depthwise(2),
  SeparableConv1D: separable(1),
  SeparableConv2D: separable(2),
  Conv1DTranspose: transposed(1),
  Conv2DTranspose: transposed(2),
  Dense: dense,
  BatchNormalization: batchNormalization,
};

/** Short names of a layer's weights in the order in which it makes them, as Keras 3 numbers them. */
export function weightOrder(className: string, config: LayerContext['config']): readonly string[] {
  const withBias = (...names: string[]): string[] => (flagOf(config, 'use_bias', true) ? [...names, 'bias'] : names);
  if (className === 'BatchNormalization')
    return [
      ...(flagOf(config, 'scale', true) ? ['gamma'] : []),
      ...(flagOf(config, 'center', true) ? ['beta'] : []),
      'moving_mean',
      'moving_variance',
    ];
  if (className === 'PReLU') return ['alpha'];
  if (className === 'Embedding') return ['embeddings'];
  if (className === 'Normalization') return ['mean', 'variance'];
  if (className === 'RMSNormalization') return ['scale'];
  if (className === 'LayerNormalization' || className === 'GroupNormalization')
    return [...(flagOf(config, 'scale', true) ? ['gamma'] : []), ...(flagOf(config, 'center', true) ? ['beta'] : [])];
  if (['LSTM', 'GRU', 'SimpleRNN'].includes(className)) return withBias('kernel', 'recurrent_kernel');
  if (className.startsWith('Separable')) return withBias('depthwise_kernel', 'pointwise_kernel');
  return className in weightedLayers ? withBias('kernel') : [];
}
