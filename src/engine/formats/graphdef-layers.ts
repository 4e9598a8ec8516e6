/**
 * TensorFlow operators with weights or windows. Each is written for channels last, as TensorFlow computes, with a Transpose before and
 * behind where ONNX wants them first; the pass `cancelTransposes` takes these away again.
 */
import type { Value } from '../ops/builder';
import {
  type Carried,
  type Constant,
  fixedInts,
  isConstant,
  type NodeContext,
  type NodeReader,
  refuseNode,
  shapeOf,
  toFirst,
  toLast,
} from './graphdef-context';
import { fusedActivation } from './graphdef-elementwise';
import { permuted, reshapedWeight, type Weight } from './weights';

const weightOf = (constant: Constant): Weight => ({ dims: constant.dims, data: Float32Array.from(constant.data) });
const constantOf = (weight: Weight): Constant => ({ name: '', type: 'float32', ...weight });

const isFirst = (c: NodeContext): boolean => (c.node.attributes.get('data_format')?.s ?? 'NHWC').startsWith('NC');

/** Runs `make` on a value with channels first, and gives the result as the node's data_format has it. */
function channelsFirst(c: NodeContext, x: Value, make: (x: Value) => Value): Value {
  const rank = x.shape.length;
  if (rank < 3) refuseNode(c, `takes an image and is given a value of ${rank} axes`);
  if (isFirst(c)) return make(x);
  const y = make(c.op('Transpose', [x], { perm: toFirst(rank) }, 'first'));
  return c.op('Transpose', [y], { perm: toLast(rank) }, 'last');
}

/** The two spatial entries of strides and dilations. */
function spatial(c: NodeContext, attribute: string): number[] {
  const given = c.node.attributes.get(attribute)?.ints ?? [1, 1, 1, 1];
  const two = isFirst(c) ? given.slice(2, 4) : given.slice(1, 3);
  if (given.length !== 4 || two.some((d) => !Number.isInteger(d) || d < 1)) refuseNode(c, `has the ${attribute} [${given.join(', ')}]`);
  return two;
}

function padsOf(
  c: NodeContext,
  lengths: readonly number[],
  kernel: readonly number[],
  strides: readonly number[],
  dilations: readonly number[],
): number[] {
  const padding = c.node.attributes.get('padding')?.s ?? 'VALID';
  if (padding === 'VALID') return [0, 0, 0, 0];
  if (padding === 'EXPLICIT') {
    const all = c.node.attributes.get('explicit_paddings')?.ints ?? [];
    const at = isFirst(c) ? 4 : 2;
    if (all.length !== 8) refuseNode(c, `has the explicit_paddings [${all.join(', ')}]`);
    return [all[at], all[at + 2], all[at + 1], all[at + 3]];
  }
  if (padding !== 'SAME') refuseNode(c, `has the padding '${padding}'`);
  const total = lengths.map((d, i) => Math.max(0, (Math.ceil(d / strides[i]) - 1) * strides[i] + dilations[i] * (kernel[i] - 1) + 1 - d));
  const before = total.map((t) => Math.floor(t / 2));
  return [...before, ...total.map((t, i) => t - before[i])];
}

const nonZero = (pads: readonly number[]): readonly number[] | undefined => (pads.some((p) => p !== 0) ? pads : undefined);

interface Fused {
  readonly bias?: Constant;
  readonly activation?: string;
  readonly extra?: Carried;
}

/** What a fused node adds behind its product: a bias, then an activation. */
function fused(c: NodeContext): Fused {
  const names = c.node.attributes.get('fused_ops')?.strings ?? [];
  const [first, ...others] = names;
  if (names.length === 0) return {};
  if (first === 'BiasAdd') return { bias: c.constant(2), activation: others[0], extra: c.inputs[3] };
  if (names.length === 1 && first !== 'FusedBatchNorm') return { activation: first, extra: c.inputs[2] };
  return refuseNode(c, `fuses ${names.join(', ')}, which is not read`);
}

const activated = (c: NodeContext, y: Value, { activation, extra }: Fused): Value =>
  activation === undefined ? y : fusedActivation(c, y, activation, extra);

function convolution(depthwise: boolean): NodeReader {
  return (c) => {
    const kernel = weightOf(c.constant(1));
    if (kernel.dims.length !== 4) refuseNode(c, `has a kernel of ${kernel.dims.length} axes where 4 belong`);
    const [height, width, inner, outer] = kernel.dims;
    const weight = depthwise
      ? reshapedWeight(permuted(kernel, [2, 3, 0, 1]), [inner * outer, 1, height, width])
      : permuted(kernel, [3, 2, 0, 1]);
    const last = fused(c);
    const y = channelsFirst(c, c.value(0), (x) => {
      const group = x.shape[1] / weight.dims[1];
      if (!Number.isInteger(group) || (depthwise && inner !== x.shape[1]))
        refuseNode(c, `has a kernel for ${inner} channels and is given ${x.shape[1]}`);
      const [strides, dilations] = [spatial(c, 'strides'), spatial(c, 'dilations')];
      const pads = nonZero(padsOf(c, x.shape.slice(2), [height, width], strides, dilations));
      const inputs = [x, c.store(constantOf(weight), 'kernel'), ...(last.bias ? [c.store(last.bias, 'bias')] : [])];
      return c.op('Conv', inputs, { kernel_shape: [height, width], strides, dilations, group, pads });
    });
    return activated(c, y, last);
  };
}

/** The gradient of a convolution with regard to its input, which is what a transposed convolution computes. */
const transposedConvolution: NodeReader = (c) => {
  const size = Array.from(c.constant(0).data);
  const kernel = weightOf(c.constant(1));
  const [height, width] = kernel.dims;
  if (kernel.dims.length !== 4 || size.length !== 4) refuseNode(c, 'has a kernel or size that is not for images');
  return channelsFirst(c, c.value(2), (x) => {
    const [strides, dilations] = [spatial(c, 'strides'), spatial(c, 'dilations')];
    const output = isFirst(c) ? size.slice(2) : size.slice(1, 3);
    const pads = padsOf(c, output, [height, width], strides, dilations);
    const made = x.shape.slice(2).map((d, i) => strides[i] * (d - 1) + dilations[i] * (kernel.dims[i] - 1) + 1 - pads[i] - pads[i + 2]);
    const more = output.map((d, i) => d - made[i]);
    if (more.some((m, i) => !Number.isInteger(m) || m < 0 || m >= strides[i]))
      refuseNode(c, `cannot give a result of lengths [${output.join(', ')}]`);
    const weight = c.store(constantOf(permuted(kernel, [3, 2, 0, 1])), 'kernel');
    const attributes = {
      kernel_shape: [height, width],
      strides,
      dilations,
      pads: nonZero(pads),
      output_padding: more.some((m) => m > 0) ? more : undefined,
    };
    return c.op('ConvTranspose', [x, weight], attributes, '', {
      types: [{ type: x.type, shape: [x.shape[0], kernel.dims[2], ...output] }],
    });
  });
};

const pool =
  (opType: 'MaxPool' | 'AveragePool'): NodeReader =>
  (c) =>
    channelsFirst(c, c.value(0), (x) => {
      const [kernel, strides] = [spatial(c, 'ksize'), spatial(c, 'strides')];
      const pads = nonZero(padsOf(c, x.shape.slice(2), kernel, strides, [1, 1]));
      return c.op(opType, [x], { kernel_shape: kernel, strides, pads });
    });

const batchNorm: NodeReader = (c) => {
  if (c.node.attributes.get('is_training')?.b === true)
    refuseNode(c, 'normalises by the batch it is given, as in training', 'Convert the model for inference (training=False).');
  const parameters = ['scale', 'offset', 'mean', 'variance'].map((part, i) => c.store(c.constant(i + 1), part));
  return channelsFirst(c, c.value(0), (x) =>
    c.op('BatchNormalization', [x, ...parameters], { epsilon: { float: c.node.attributes.get('epsilon')?.f ?? 1e-4 } }),
  );
};

const flag = (c: NodeContext, ...names: string[]): boolean => names.some((n) => c.node.attributes.get(n)?.b === true);

/** x · W as a Gemm where W is known and x has two axes. */
const product: NodeReader = (c) => {
  const [turnA, turnB] = [flag(c, 'transpose_a', 'adj_x'), flag(c, 'transpose_b', 'adj_y')];
  const last = fused(c);
  const turned = (x: Value, turn: boolean, part: string): Value => {
    const axes = x.shape.map((_, i) => i);
    return turn ? c.op('Transpose', [x], { perm: [...axes.slice(0, -2), axes.length - 1, axes.length - 2] }, part) : x;
  };
  const x = turned(c.value(0), turnA, 'left');
  const second = c.inputs[1];
  if (x.shape.length === 2 && second && isConstant(second) && second.dims.length === 2) {
    const weight = turnB ? weightOf(second) : permuted(weightOf(second), [1, 0]);
    const y = c.op('Gemm', [x, c.store(constantOf(weight), 'kernel'), ...(last.bias ? [c.store(last.bias, 'bias')] : [])], { transB: 1 });
    return activated(c, y, last);
  }
  let y = c.op('MatMul', [x, turned(c.value(1), turnB, 'right')], {}, last.bias ? 'product' : '');
  if (last.bias) y = c.op('Add', [y, c.store(last.bias, 'bias')]);
  return activated(c, y, last);
};

const resize =
  (mode: 'nearest' | 'linear'): NodeReader =>
  (c) => {
    const size = fixedInts(c, 1);
    const [corners, centers] = [flag(c, 'align_corners'), flag(c, 'half_pixel_centers')];
    if (size.length !== 2 || shapeOf(c.inputs[0]).length !== 4) refuseNode(c, 'enlarges something that is no image');
    const place = corners ? 'align_corners' : centers ? 'half_pixel' : 'asymmetric';
    // TensorFlow's nearest neighbour by pixel centres lies at the floor of (x + ½) · scale, without the half subtracted again.
    const nearest = {
      coordinate_transformation_mode: corners ? place : centers ? 'tf_half_pixel_for_nn' : place,
      nearest_mode: corners ? 'round_prefer_ceil' : 'floor',
    };
    if (mode === 'nearest' && centers)
      Object.assign(nearest, { coordinate_transformation_mode: 'half_pixel', nearest_mode: 'round_prefer_ceil' });
    return channelsFirst(c, c.value(0), (x) => {
      const scales = c.b.floats(c.b.fresh(`${c.node.name}/scales`), [4], Float32Array.of(1, 1, size[0] / x.shape[2], size[1] / x.shape[3]));
      const exact = size.every((s, i) => Math.floor(Math.fround(s / x.shape[i + 2]) * x.shape[i + 2]) === s);
      const sizes = c.b.ints([x.shape[0], x.shape[1], ...size]);
      if (!exact && x.shape[0] !== 1) refuseNode(c, 'enlarges by a factor that cannot be written');
      const inputs = exact ? [x, undefined, scales] : [x, undefined, undefined, sizes];
      return c.op('Resize', inputs, mode === 'nearest' ? { mode, ...nearest } : { mode, coordinate_transformation_mode: place });
    });
  };

const depthToSpace: NodeReader = (c) => {
  const block = c.node.attributes.get('block_size')?.i ?? 0;
  return channelsFirst(c, c.value(0), (x) => c.op('DepthToSpace', [x], { blocksize: block, mode: 'DCR' }));
};

export const layerNodes: Readonly<Record<string, NodeReader>> = {
  Conv2D: convolution(false),
  _FusedConv2D: convolution(false),
  DepthwiseConv2d: convolution(true),
  DepthwiseConv2dNative: convolution(true),
  FusedDepthwiseConv2dNative: convolution(true),
  Conv2DBackpropInput: transposedConvolution,
  MaxPool: pool('MaxPool'),
  AvgPool: pool('AveragePool'),
  FusedBatchNorm: batchNorm,
  FusedBatchNormV2: batchNorm,
  FusedBatchNormV3: batchNorm,
  MatMul: product,
  _FusedMatMul: product,
  BatchMatMul: product,
  BatchMatMulV2: product,
  ResizeBilinear: resize('linear'),
  ResizeNearestNeighbor: resize('nearest'),
  DepthToSpace: depthToSpace,
};
