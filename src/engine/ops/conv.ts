/**
 * Convolution over any number of spatial axes: X [N, I, …] ∗ W [O, I/group, kernel…] + B [O] → Y [N, O, …].
 *
 * The backward pass is made of operators that onnxruntime runs at the speed of its matrix product; the formulations and the
 * measurements behind each choice are noted where the choice is made.
 */
import { UserError } from '../errors';
import { attr, type Node, type Shape } from '../onnx/model';
import { elementCount } from '../onnx/tensor';
import type { GraphBuilder, Value } from './builder';
import { binary, concat, flip, gemm, matMul, pad, range, reduceSum, reshape, slice, spreadWithZeros, transpose } from './emit';
import type { ChannelContext, CostContext, GradientContext, InferContext, Operator, ShrinkContext, ValueType } from './operator';
import { leftOver, outputLengths, positions, resolveWindow, type Window, windowAttributes } from './window';

/**
 * Where the formulations of the weight gradient cross over, measured on one thread, ms (batch 128 unless stated):
 *
 *     channels, map, kernel       all offsets at once   offset by offset   channels last
 *     3 → 16, 32×32, 3×3                          3.8                9.7            12.0
 *     6 → 16, 14×14, 5×5                          4.5                6.1             6.4
 *     16 → 16, 32×32, 3×3                        24.4               16.3            19.3
 *     32 → 32, 16×16, 3×3                        15.6               10.8            10.8
 *     64 → 64, 8×8, 3×3                          13.8               10.2             7.8
 *     64 → 64, 32×32, 3×3, batch 32              42.8               34.4            47.9
 *     256 → 256, 8×8, 3×3, batch 64              67.8               67.6            53.7
 *     64 → 128, 8×8, 1×1                          1.4                1.4             1.8
 */
const FEW_CHANNELS = 8;
/** Below this many positions of the output's map, channels last wins: the matrix product offset by offset sums over too short rows. */
const SMALL_MAP = 256;

function infer({ node, inputs }: InferContext): ValueType[] {
  const [x, w] = inputs;
  if (!x || !w) throw new UserError('it needs an input and a weight');
  if (!w.shape) return [{ type: x.type, shape: undefined }];
  if (w.shape.length < 3)
    throw new UserError(`its weight '${node.inputs[1]}' has the shape [${w.shape.join(', ')}]: spatial axes are missing`);
  if (!x.shape) return [{ type: x.type, shape: undefined }];
  const spatialRank = w.shape.length - 2;
  if (x.shape.length !== w.shape.length)
    throw new UserError(`its input has ${x.shape.length} axes and its weight '${node.inputs[1]}' has ${w.shape.length}`);
  const group = attr.int(node, 'group', 1);
  const [outputs, perGroup] = w.shape;
  const channels = x.shape[1];
  if (typeof channels === 'number' && typeof perGroup === 'number' && channels !== perGroup * group)
    throw new UserError(`its input has ${channels} channels, its weight '${node.inputs[1]}' expects ${perGroup * group}`);
  if (typeof outputs === 'number' && (group < 1 || outputs % group !== 0))
    throw new UserError(`its ${outputs} output channels cannot be split into ${group} groups`);
  const bias = inputs[2]?.shape;
  if (bias && (bias.length !== 1 || (typeof bias[0] === 'number' && typeof outputs === 'number' && bias[0] !== outputs)))
    throw new UserError(`its bias '${node.inputs[2]}' has the shape [${bias.join(', ')}] where [${outputs}] belongs`);
  if (w.shape.slice(2).some((k) => typeof k === 'string'))
    return [{ type: x.type, shape: [x.shape[0], outputs, ...range(0, spatialRank).map(() => '')] }];
  const window = windowAttributes(node, spatialRank, w.shape.slice(2) as number[]);
  return [{ type: x.type, shape: [x.shape[0], outputs, ...outputLengths(window, x.shape.slice(2))] }];
}

function cost({ inputs, outputs }: CostContext): number {
  const known = (shape: Shape): number => elementCount(shape.map((d) => (typeof d === 'number' ? d : 1)));
  const [weight, output] = [inputs[1]?.shape, outputs[0].shape];
  return weight && output ? known(output) * known(weight.slice(1)) : 0;
}

/** A convolution with all lengths known. */
export interface Geometry {
  readonly window: Window;
  readonly group: number;
  readonly batch: number;
  /** Input and output channels, all groups together. */
  readonly channels: number;
  readonly filters: number;
}

function geometryOf(node: Node, x: Value, w: Value): Geometry {
  const window = resolveWindow(windowAttributes(node, w.shape.length - 2, w.shape.slice(2)), x.shape.slice(2));
  return { window, group: attr.int(node, 'group', 1), batch: x.shape[0], channels: x.shape[1], filters: w.shape[0] };
}

const isDepthwise = (g: { group: number; channels: number }): boolean => g.group > 1 && g.group === g.channels;

function gradient({ node, b, inputs, wants }: GradientContext, [dy]: ReadonlyArray<Value | undefined>): Array<Value | undefined> {
  const [x, w, bias] = inputs;
  if (!x || !w || !dy) return [];
  const g = geometryOf(node, x, w);
  return [
    wants(0) ? inputGradient(b, g, w, dy, x.shape) : undefined,
    wants(1) ? weightGradient(b, g, x, w.shape, dy) : undefined,
    bias && wants(2) ? reduceSum(b, dy, [0, ...range(2, dy.shape.length)]) : undefined,
  ];
}

/** dW[o, i, offset] = Σ over images and positions of dY[o, position] · X[i, position · stride + offset · dilation]. */
export function weightGradient(b: GraphBuilder, g: Geometry, x: Value, shape: readonly number[], dy: Value): Value {
  if (isDepthwise(g)) {
    return g.window.strides.every((s) => s === 1) ? depthwiseByOffset(b, g, x, shape, dy) : depthwiseAsConvolution(b, g, x, shape, dy);
  }
  if (g.channels / g.group <= FEW_CHANNELS) return weightGradientAtOnce(b, g, x, shape, dy);
  const pointwise = g.window.kernel.every((k) => k === 1);
  if (g.group === 1 && !pointwise && elementCount(g.window.output) < SMALL_MAP) return weightGradientChannelsLast(b, g, x, shape, dy);
  return weightGradientByOffset(b, g, x, shape, dy);
}

/**
 * Depthwise with stride 1: for each kernel offset the products of dY with the shifted input, summed over images and positions.
 * Measured against the one convolution below (one thread, ms): [32, 64, 16, 16] 3.1 / 13.4, [8, 384, 14, 14] 7 / 15 to 30,
 * [8, 32, 112, 112] 23 / 129.
 */
function depthwiseByOffset(b: GraphBuilder, g: Geometry, x: Value, shape: readonly number[], dy: Value): Value {
  const { window, batch, channels, filters } = g;
  // The filters of a channel on an axis of their own, over which the input stretches.
  const separate = [batch, channels, filters / channels];
  const rows = reshape(b, dy, [...separate, ...window.output]);
  const padded = pad(b, x, [0, 0, ...window.pads.before], [0, 0, ...window.pads.after]);
  const sums = offsetSlices(b, padded, window, 2).map((part) => {
    const product = binary(b, 'Mul', rows, reshape(b, part, [batch, channels, 1, ...window.output]));
    return reshape(b, reduceSum(b, reshape(b, product, [batch, filters, ...window.output]), [0, ...range(2, 2 + window.kernel.length)]), [
      filters,
      1,
    ]);
  });
  return reshape(b, concat(b, sums, 1), shape);
}

/**
 * Depthwise with a larger stride, where cutting out every stride-th element would cost most: every (image, channel) pair is a group
 * of its own, dY its kernel, and stride and dilation change places; so one grouped convolution gives the gradient image by image
 * ([8, 96, 56, 56] with stride 2: 14 ms against 16 offset by offset; with two threads 15 against 34).
 */
function depthwiseAsConvolution(b: GraphBuilder, g: Geometry, x: Value, shape: readonly number[], dy: Value): Value {
  const { window, batch, channels, filters } = g;
  const spare = leftOver(window);
  const after = window.pads.after.map((p, i) => Math.max(0, p - spare[i]));
  // What no window reached, beyond the padding, would give kernel positions that do not exist.
  const lengths = window.input.map(
    (length, i) =>
      Math.floor((length + window.pads.before[i] + after[i] - window.strides[i] * (window.output[i] - 1) - 1) / window.dilations[i]) + 1,
  );
  const conv = b.op(
    'Conv',
    [reshape(b, x, [1, batch * channels, ...window.input]), reshape(b, dy, [batch * filters, 1, ...window.output])],
    {
      kernel_shape: window.output,
      group: batch * channels,
      strides: window.dilations,
      dilations: window.strides,
      pads: [...window.pads.before, ...after],
    },
    { types: [{ type: x.type, shape: [1, batch * filters, ...lengths] }] },
  );
  const spatial = range(2, 2 + lengths.length);
  const starts = lengths.map(() => 0);
  const cut = slice(b, conv, spatial, starts, window.kernel);
  return reshape(b, reduceSum(b, reshape(b, cut, [batch, filters, ...window.kernel]), [0]), shape);
}

/** For each kernel offset, the input elements that it meets: [leading axes…, output lengths…], in the order of `positions(kernel)`. */
function offsetSlices(b: GraphBuilder, padded: Value, window: Window, firstAxis: number): Value[] {
  const axes = window.kernel.map((_, i) => firstAxis + i);
  return positions(window.kernel).map((offset) =>
    slice(
      b,
      padded,
      axes,
      offset.map((o, i) => o * window.dilations[i]),
      window.output,
      window.strides,
    ),
  );
}

/** Images · groups as one leading axis: groups need no case of their own, they count as separate images until the sum. */
function separateGroups(b: GraphBuilder, g: Geometry, x: Value, dy: Value): { slices: Value[]; rows: Value } {
  const { window, group, batch, channels, filters } = g;
  const split = reshape(b, x, [batch * group, channels / group, ...window.input]);
  const padded = pad(b, split, [0, 0, ...window.pads.before], [0, 0, ...window.pads.after]);
  return {
    slices: offsetSlices(b, padded, window, 2),
    rows: reshape(b, dy, [batch * group, filters / group, elementCount(window.output)]),
  };
}

/** Sum over images of [batch · group, rows, columns] → [filters, columns]. */
function sumOverImages(b: GraphBuilder, g: Geometry, products: Value): Value {
  const columns = products.shape[2];
  return reshape(b, reduceSum(b, reshape(b, products, [g.batch, g.filters * columns]), [0]), [g.filters, columns]);
}

/** One matrix product over all kernel offsets side by side (im2col): few channels alone would make one of a poor shape. */
function weightGradientAtOnce(b: GraphBuilder, g: Geometry, x: Value, shape: readonly number[], dy: Value): Value {
  const { slices, rows } = separateGroups(b, g, x, dy);
  const perGroup = g.channels / g.group;
  const columns = reshape(b, concat(b, slices, 1), [g.batch * g.group, slices.length * perGroup, elementCount(g.window.output)]);
  const summed = sumOverImages(b, g, matMul(b, rows, columns, { transRight: true }));
  return reshape(b, transpose(b, reshape(b, summed, [g.filters, slices.length, perGroup]), [0, 2, 1]), shape);
}

/** One batched matrix product for each kernel offset. */
function weightGradientByOffset(b: GraphBuilder, g: Geometry, x: Value, shape: readonly number[], dy: Value): Value {
  const { slices, rows } = separateGroups(b, g, x, dy);
  const perGroup = g.channels / g.group;
  const products = slices.map((part) => {
    const columns = reshape(b, part, [g.batch * g.group, perGroup, elementCount(g.window.output)]);
    return sumOverImages(b, g, matMul(b, rows, columns, { transRight: true }));
  });
  return stackOffsets(b, products, shape);
}

/** One tall matrix product for each kernel offset, over all images and positions, channels last. */
function weightGradientChannelsLast(b: GraphBuilder, g: Geometry, x: Value, shape: readonly number[], dy: Value): Value {
  const { window, batch, channels, filters } = g;
  const order = [0, ...window.kernel.map((_, i) => i + 2), 1];
  const total = batch * elementCount(window.output);
  const rows = reshape(b, transpose(b, dy, order), [total, filters]);
  const padded = pad(b, transpose(b, x, order), [0, ...window.pads.before, 0], [0, ...window.pads.after, 0]);
  const products = offsetSlices(b, padded, window, 1).map((part) =>
    gemm(b, rows, reshape(b, part, [total, channels]), { transLeft: true }),
  );
  return stackOffsets(b, products, shape);
}

/** One [O, I/group] for each kernel offset → [O, I/group, kernel…]. */
function stackOffsets(b: GraphBuilder, products: readonly Value[], shape: readonly number[]): Value {
  const [filters, perGroup] = shape;
  const stacked = concat(
    b,
    products.map((p) => reshape(b, p, [1, filters, perGroup])),
    0,
  );
  return reshape(b, transpose(b, stacked, [1, 2, 0]), shape);
}

/** Convolves the output's gradient with the kernel turned round: dX, or a cut of it. */
function inputGradient(b: GraphBuilder, g: Geometry, w: Value, dy: Value, shape: readonly number[]): Value {
  const { window, group } = g;
  const strided = window.strides.some((s) => s > 1);
  if (!strided) return correlate(b, g, turned(b, g, w), dy, shape);
  if (window.kernel.every((k) => k === 1)) {
    // A 1×1 kernel meets only every stride-th element: multiply at the low resolution, then put zeros between.
    const low = b.op(
      'Conv',
      [dy, turned(b, g, w)],
      { kernel_shape: window.kernel, group },
      {
        types: [{ type: dy.type, shape: [g.batch, g.channels, ...window.output] }],
      },
    );
    return padTo(
      b,
      spreadWithZeros(b, low, window.strides),
      window.pads.before.map((p) => -p),
      shape,
    );
  }
  // Zeros between dY's elements and a plain convolution would multiply mostly zeros: 10 ms against 48 for [128, 16 ← 32, 32, 32],
  // and for depthwise [8, 96, 56, 56] 9 against 18 (one thread, 3×3, stride 2).
  return b.op(
    'ConvTranspose',
    [dy, w],
    {
      kernel_shape: window.kernel,
      group,
      strides: window.strides,
      dilations: window.dilations,
      pads: [...window.pads.before, ...window.pads.after],
      output_padding: leftOver(window),
    },
    { types: [{ type: dy.type, shape }] },
  );
}

/** W [O, I/group, …] → [I, O/group, …] with the kernel reversed: the weight of the convolution that leads back. */
function turned(b: GraphBuilder, g: Geometry, w: Value): Value {
  const { group, channels, filters, window } = g;
  const spatial = range(0, window.kernel.length);
  const groups = reshape(b, w, [group, filters / group, channels / group, ...window.kernel]);
  const swapped = reshape(b, transpose(b, groups, [0, 2, 1, ...spatial.map((i) => i + 3)]), [channels, filters / group, ...window.kernel]);
  return flip(
    b,
    swapped,
    spatial.map((i) => i + 2),
  );
}

/** The convolution of dy, with stride 1, whose result has the input's lengths. */
function correlate(b: GraphBuilder, { window, group }: Geometry, weight: Value, dy: Value, shape: readonly number[]): Value {
  const before = window.kernel.map((k, i) => window.dilations[i] * (k - 1) - window.pads.before[i]);
  const after = window.kernel.map((k, i) => shape[2 + i] - dy.shape[2 + i] + window.dilations[i] * (k - 1) - before[i]);
  // Padding wider than the kernel reaches turns into a cut, which Conv's own pads cannot express.
  const cut = pad(b, dy, [0, 0, ...before.map((p) => Math.min(0, p))], [0, 0, ...after.map((p) => Math.min(0, p))]);
  return b.op(
    'Conv',
    [cut, weight],
    {
      kernel_shape: window.kernel,
      group,
      dilations: window.dilations,
      pads: [...before, ...after].map((p) => Math.max(0, p)),
    },
    { types: [{ type: dy.type, shape }] },
  );
}

/** Zeros before (negative: a cut) along the spatial axes, and as many after as make the shape. */
function padTo(b: GraphBuilder, x: Value, before: readonly number[], shape: readonly number[]): Value {
  const after = before.map((p, i) => shape[2 + i] - x.shape[2 + i] - p);
  return pad(b, x, [0, 0, ...before], [0, 0, ...after]);
}

function channels(context: ChannelContext): void {
  const { node, inputs } = context;
  const input = context.atoms(0, 1);
  const label = `convolution '${node.name || node.outputs[0]}'`;
  if (!inputs[1]?.value || (inputs[2] && !inputs[2].value)) {
    context.freeze(input, `${label} computes its weight or bias in the graph, so its channels cannot be removed`);
    context.freeze(context.atoms(1, 0), `${label} computes its weight in the graph, so its channels cannot be removed`);
    return;
  }
  const filters = context.atoms(1, 0);
  if (!filters) return;
  const group = attr.int(node, 'group', 1);
  const perGroup = inputs[1].value.dims[1];
  const bias = inputs[2] ? context.atoms(2, 0) : null;
  if (bias) {
    context.role(2, 0, 'parameter');
    context.couple(filters, bias);
  }
  context.setOutput(0, 0, context.atoms(0, 0));
  context.setOutput(0, 1, filters);
  const noInput = `the input of ${label} has no channels that can be removed`;
  if (group > 1 && perGroup === 1) {
    // Depthwise: each filter lives and dies with the one channel that it sees.
    context.role(1, 0, 'parameter');
    const multiplier = filters.length / group;
    if (input)
      context.couple(
        Int32Array.from(filters, (_, i) => input[Math.floor(i / multiplier)]),
        filters,
      );
    else context.freeze(filters, noInput);
    return;
  }
  context.role(1, 0, 'producer');
  context.role(1, 1, 'consumer');
  const taken = context.atoms(1, 1);
  if (!taken) return;
  if (!input) context.freeze(taken, noInput);
  // Each group must lose the same places, or the groups would differ in width; with one group this is the plain case.
  const filtersPerGroup = filters.length / group;
  for (let i = 0; i < group; i++) {
    if (input) context.couple(input.slice(i * perGroup, (i + 1) * perGroup), taken);
    if (i > 0) context.couple(filters.slice(i * filtersPerGroup, (i + 1) * filtersPerGroup), filters.slice(0, filtersPerGroup));
  }
}

function shrink(context: ShrinkContext): void {
  const group = attr.int(context.node, 'group', 1);
  const weight = context.inputs[1]?.shape;
  if (group === 1 || weight?.[1] !== 1) return;
  const kept = context.keptInput(0, 1);
  if (kept) context.setAttribute('group', kept.length);
}

export const conv: Operator = { opTypes: ['Conv'], infer, cost, gradient, channels, shrink };
