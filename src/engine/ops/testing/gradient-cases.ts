/**
 * One case or more for every operator that claims a gradient: the conformance benchmark and `gradients.test.ts` hold each of them to
 * finite differences. Data keeps clear of kinks by more than the steps of the differences.
 */
import type { GradientCase } from './check-gradient';
import type { InputCase } from './single-node';

export interface NamedGradientCase extends GradientCase {
  readonly what: string;
}

type Inputs = ReadonlyArray<InputCase | undefined>;
type Options = Omit<GradientCase, 'opType' | 'inputs'> & { readonly what?: string };

const x = (shape: readonly number[], more: Partial<InputCase> = {}): InputCase => ({ name: 'X', shape, ...more });
const named = (name: string, shape: readonly number[], more: Partial<InputCase> = {}): InputCase => ({ name, shape, ...more });
const whole = (name: string, data: readonly number[], shape: readonly number[] = [data.length]): InputCase => ({
  name,
  shape,
  data,
  type: 'int64',
});
const row = (opType: string, inputs: Inputs, options: Options = {}): NamedGradientCase => ({ opType, inputs, what: '', ...options });

const count = (shape: readonly number[]): number => shape.reduce((a, d) => a * d, 1);
/** Numbers from `low` to `high`, all different and in no order. */
const spread = (shape: readonly number[], low: number, high: number): number[] => {
  const n = count(shape);
  return Array.from({ length: n }, (_, i) => low + ((high - low) * ((i * 7) % n)) / Math.max(1, n - 1));
};
const coprime = [3, 5];
/** On both sides of zero and at least 0.4 from it. */
const signed = spread(coprime, -2.1, 2).map((v) => (Math.abs(v) < 0.4 ? v + Math.sign(v) * 0.5 : v));
const kinked = (opType: string, options: Options = {}): NamedGradientCase => row(opType, [x(coprime, { data: signed })], options);
const between = (opType: string, low: number, high: number, options: Options = {}): NamedGradientCase =>
  row(opType, [x(coprime, { data: spread(coprime, low, high) })], options);

const image = [2, 3, 4, 5];
const positivePair = [named('A', [2, 3], { data: spread([2, 3], 0.5, 2) }), named('B', [3], { data: spread([3], 0.6, 1.9) })];
const vectors = (length: number): InputCase[] => [named('scale', [length]), named('bias', [length])];

const elementwiseCases: readonly NamedGradientCase[] = [
  ...['Relu', 'LeakyRelu', 'Elu', 'Selu', 'Celu', 'Softsign', 'Abs', 'Reciprocal'].map((opType) => kinked(opType)),
  kinked('Elu', { what: 'alpha', attributes: { alpha: { float: 1.7 } } }),
  kinked('Selu', { what: 'alpha, gamma', attributes: { alpha: { float: 2 }, gamma: { float: 3 } } }),
  kinked('Celu', { what: 'alpha', attributes: { alpha: { float: 0.6 } } }),
  kinked('ThresholdedRelu', { attributes: { alpha: { float: 0.1 } } }),
  kinked('Shrink', { attributes: { lambd: { float: 0.2 }, bias: { float: 0.1 } } }),
  ...['Sigmoid', 'Tanh', 'Softplus', 'Exp', 'Neg', 'Erf', 'Identity', 'Sin', 'Cos', 'Sinh', 'Cosh', 'Asinh', 'Atan'].map((opType) =>
    row(opType, [x(coprime)]),
  ),
  between('HardSigmoid', -1.9, 1.9),
  between('HardSwish', -2.7, 2.6),
  between('Log', 0.4, 3),
  between('Sqrt', 0.4, 3),
  between('Tan', -1, 1),
  ...['Asin', 'Acos', 'Atanh'].map((opType) => between(opType, -0.8, 0.8)),
  between('Acosh', 1.4, 4),
  row('Clip', [
    x([6], { data: [-2, -0.5, 0, 0.3, 2, 3] }),
    named('min', [], { data: [-1], constant: true }),
    named('max', [], { data: [1], constant: true }),
  ]),
  row('Gelu', [x(coprime)], { training: true }),
  row('Gelu', [x(coprime)], { what: 'tanh', training: true, attributes: { approximate: 'tanh' } }),
  row('Mish', [x(coprime)], { training: true }),
  row('Swish', [x(coprime)], { training: true, attributes: { alpha: { float: 1.3 } } }),
  row('QuickGelu', [x(coprime)], { training: true, domain: 'com.microsoft' }),
  row('Gelu', [x(coprime)], { what: 'onnxruntime’s', domain: 'com.microsoft' }),
  row('BiasGelu', [x(coprime), named('bias', [5])], { domain: 'com.microsoft' }),
  row('FastGelu', [x(coprime), named('bias', [5])], { domain: 'com.microsoft' }),
  row('Dropout', [x([4, 6])], { training: true }),
  row('Dropout', [x([4, 6])], { what: 'outside training' }),
  row('Cast', [x(coprime)], { attributes: { to: 1 } }),
  row('CastLike', [x(coprime), named('like', [1], { constant: true })]),
];

const arithmeticCases: readonly NamedGradientCase[] = [
  ...['Add', 'Sub', 'Mul', 'Div', 'Pow', 'Min', 'Max', 'Sum', 'Mean'].map((opType) => row(opType, positivePair)),
  row('PRelu', [x([2, 3], { data: [-2, -1, -0.5, 0.5, 1, 2] }), named('slope', [3])]),
  row('PRelu', [x([1, 3, 2], { data: [-2, -1, -0.5, 0.5, 1, 2] }), named('slope', [3, 1])], { what: 'a slope a channel' }),
  row('Where', [{ name: 'condition', shape: [3], data: [1, 0, 1], type: 'bool' }, named('A', [2, 3]), named('B', [2, 1])]),
];

const layerCases: readonly NamedGradientCase[] = [
  row('Conv', [x([2, 3, 6, 5]), named('W', [4, 3, 3, 3]), named('B', [4])], {
    step: 0.1,
    attributes: { pads: [1, 1, 1, 1], strides: [2, 1] },
  }),
  ...[
    { what: '3×3', w: [3, 4, 3, 3], attributes: {} },
    { what: 'stride 2, cut and padded', w: [3, 4, 3, 3], attributes: { strides: [2, 2], pads: [1, 1, 1, 1], output_padding: [1, 1] } },
    { what: 'strides and kernel that differ by axis', w: [3, 2, 2, 5], attributes: { strides: [3, 2], pads: [0, 1, 1, 2] } },
    { what: 'dilation', w: [3, 4, 3, 2], attributes: { dilations: [2, 3], strides: [1, 2] } },
    { what: 'groups', w: [3, 2, 3, 3], attributes: { group: 3, strides: [2, 2] } },
    { what: 'SAME_UPPER', w: [3, 4, 3, 3], attributes: { auto_pad: 'SAME_UPPER', strides: [2, 2] } },
    { what: 'SAME_LOWER', w: [3, 4, 4, 4], attributes: { auto_pad: 'SAME_LOWER', strides: [3, 2] } },
    { what: 'stated output', w: [3, 4, 3, 3], attributes: { output_shape: [9, 10], strides: [2, 2] } },
  ].map(({ what, w, attributes }) =>
    row('ConvTranspose', [x([2, 3, 5, 5]), named('W', w), named('B', [w[1] * (Number((attributes as { group?: number }).group) || 1)])], {
      what,
      step: 0.1,
      attributes,
    }),
  ),
  row('ConvTranspose', [x([2, 4, 5]), named('W', [4, 3, 3])], {
    what: 'groups of two, one axis',
    step: 0.1,
    attributes: { group: 2, strides: [2] },
  }),
  row('Gemm', [named('A', [3, 4]), named('B', [5, 4]), named('C', [5])], { attributes: { transB: 1, alpha: { float: 0.5 } } }),
  row('MatMul', [named('A', [2, 3, 4]), named('B', [4, 5])]),
  ...[
    ['bij,bjk->bik', [2, 3, 4], [2, 4, 5]],
    ['bhid,bhjd->bhij', [2, 2, 3, 4], [2, 2, 5, 4]],
    ['...ij,jk->...ik', [2, 2, 3, 4], [4, 5]],
    ['...ij,...jk', [2, 3, 4], [1, 4, 5]],
    ['ij,k->j', [3, 4], [2]],
    ['ij,ij->ij', [3, 4], [3, 4]],
  ].map(([equation, a, c]) =>
    row('Einsum', [named('A', a as number[]), named('B', c as number[])], {
      what: String(equation),
      attributes: { equation: String(equation) },
    }),
  ),
  row('Einsum', [x([3, 4])], { what: 'ij->i', attributes: { equation: 'ij->i' } }),
  row('Einsum', [named('A', [2, 3]), named('B', [3, 4]), named('C', [4])], { what: 'ij,jk,k->i', attributes: { equation: 'ij,jk,k->i' } }),
];

const batchNormInputs = (size: readonly number[]): Inputs => [
  x(size),
  ...vectors(size[1]),
  named('mean', [size[1]], { constant: true }),
  named('variance', [size[1]], { data: spread([size[1]], 0.5, 2), constant: true }),
];
const normalizationCases: readonly NamedGradientCase[] = [
  row('BatchNormalization', batchNormInputs(image)),
  row('BatchNormalization', batchNormInputs([6, 3, 4, 4]), { what: 'batch statistics', training: true, tolerance: 4e-3 }),
  row('InstanceNormalization', [x(image), ...vectors(3)]),
  row('InstanceNormalization', [x([2, 3, 7]), ...vectors(3)], { what: 'one spatial axis', attributes: { epsilon: { float: 0.1 } } }),
  row('GroupNormalization', [x([2, 6, 3, 2]), ...vectors(6)], { what: 'a scale a channel', opset: 21, attributes: { num_groups: 3 } }),
  row('GroupNormalization', [x([2, 6, 3, 2]), ...vectors(2)], { what: 'a scale a group', opset: 18, attributes: { num_groups: 2 } }),
  row('LayerNormalization', [x([3, 4, 5]), ...vectors(5)]),
  row('LayerNormalization', [x([3, 4, 5]), named('scale', [4, 5])], { what: 'two axes, no bias', attributes: { axis: 1 } }),
  row('LayerNormalization', [x([3, 4, 5]), ...vectors(5)], { what: 'with its statistics', outputs: 3 }),
  row('SimplifiedLayerNormalization', [x([3, 4, 5]), named('scale', [5])]),
  row('RMSNormalization', [x([3, 4, 5]), named('scale', [5])], { opset: 23 }),
  row('SkipLayerNormalization', [x([2, 3, 5]), named('skip', [2, 3, 5]), ...vectors(5), named('more', [5])], { domain: 'com.microsoft' }),
  row('SkipSimplifiedLayerNormalization', [x([2, 3, 5]), named('skip', [2, 3, 5]), named('scale', [5]), named('more', [5])], {
    domain: 'com.microsoft',
  }),
  row('MeanVarianceNormalization', [x(image)]),
  row('LRN', [x([2, 6, 3, 3])], { attributes: { size: 3, alpha: { float: 0.5 }, beta: { float: 0.6 }, bias: { float: 1.5 } } }),
  row('LpNormalization', [x([3, 5])]),
  row('LpNormalization', [x([3, 5], { data: signed })], { what: 'order 1', attributes: { p: 1, axis: 0 } }),
  row('Softmax', [x([3, 5])]),
  row('LogSoftmax', [x([3, 5])]),
];

const gates = (opType: string, n: number, options: Options = {}): NamedGradientCase =>
  row(opType, [x([3, 2, 4]), named('W', [1, n * 5, 4]), named('R', [1, n * 5, 5]), named('B', [1, 2 * n * 5])], {
    attributes: { hidden_size: 5 },
    training: true,
    ...options,
  });
const recurrentCases: readonly NamedGradientCase[] = [gates('LSTM', 4), gates('GRU', 3), gates('RNN', 1)];

const attentionCases: readonly NamedGradientCase[] = [
  row('Attention', [x([2, 4, 5]), named('W', [5, 18]), named('B', [18])], { domain: 'com.microsoft', attributes: { num_heads: 3 } }),
  row('MultiHeadAttention', [named('Q', [2, 4, 6]), named('K', [2, 5, 6]), named('V', [2, 5, 9])], {
    domain: 'com.microsoft',
    attributes: { num_heads: 3 },
  }),
  row('Attention', [named('Q', [2, 4, 6]), named('K', [2, 5, 6]), named('V', [2, 5, 9])], {
    opset: 23,
    attributes: { q_num_heads: 3, kv_num_heads: 3 },
  }),
];

const clear = (shape: readonly number[]): Partial<InputCase> => ({ data: spread(shape, -4, 4) });
const poolingCases: readonly NamedGradientCase[] = [
  row('MaxPool', [x([2, 2, 4, 6], clear([2, 2, 4, 6]))], { attributes: { kernel_shape: [2, 2], strides: [2, 2] } }),
  row('MaxPool', [x([2, 2, 5, 5], clear([2, 2, 5, 5]))], {
    what: 'windows that overlap',
    attributes: { kernel_shape: [3, 3], strides: [2, 2] },
  }),
  row('AveragePool', [x([2, 2, 5, 6])], { attributes: { kernel_shape: [3, 2], strides: [2, 1], pads: [1, 0, 1, 1] } }),
  row('GlobalAveragePool', [x(image)]),
  row('GlobalMaxPool', [x(image, clear(image))]),
  row('GlobalLpPool', [x(image, clear(image))]),
  row('GlobalLpPool', [x(image, clear(image))], { what: 'order 3', attributes: { p: 3 } }),
  row('MaxUnpool', [x([1, 1, 2, 2]), whole('I', [0, 3, 9, 14], [1, 1, 2, 2])], { attributes: { kernel_shape: [2, 2], strides: [2, 2] } }),
];

const reduced = spread([3, 4], 0.5, 3);
const reductionCases: readonly NamedGradientCase[] = [
  ...[
    'ReduceMean',
    'ReduceMax',
    'ReduceMin',
    'ReduceSumSquare',
    'ReduceL2',
    'ReduceL1',
    'ReduceLogSumExp',
    'ReduceLogSum',
    'ReduceProd',
  ].map((opType) => row(opType, [x([3, 4], { data: reduced })], { attributes: { axes: [1] } })),
  row('ReduceSum', [x([3, 4, 2]), whole('axes', [0, 2])], { attributes: { keepdims: 0 } }),
];

const shapeCases: readonly NamedGradientCase[] = [
  row('Reshape', [x([3, 4]), whole('shape', [2, -1])]),
  row('Flatten', [x(image)]),
  row('Squeeze', [x([3, 1, 4]), whole('axes', [1])]),
  row('Unsqueeze', [x([3, 4]), whole('axes', [0, 2])]),
  row('Transpose', [x([2, 3, 4])], { attributes: { perm: [2, 0, 1] } }),
  row('Concat', [named('A', [2, 3]), named('B', [2, 4])], { attributes: { axis: 1 } }),
  row('Split', [x([2, 7]), whole('split', [3, 4])], { outputs: 2, attributes: { axis: 1 } }),
  row('Slice', [x([5, 6]), whole('starts', [1, -1]), whole('ends', [4, -7]), whole('axes', [0, 1]), whole('steps', [2, -2])]),
  row('Pad', [x([3, 4]), whole('pads', [1, 0, 2, 1])]),
  ...['reflect', 'edge', 'wrap'].map((mode) =>
    row('Pad', [x([2, 3, 4]), whole('pads', [0, 1, 2, 0, 2, 3])], { what: mode, opset: 19, attributes: { mode } }),
  ),
  row('Expand', [x([3, 1]), whole('shape', [2, 3, 4])]),
  row('Tile', [x([2, 3]), whole('repeats', [2, 2])]),
  row('DepthToSpace', [x([1, 8, 2, 3])], { attributes: { blocksize: 2 } }),
  row('SpaceToDepth', [x([1, 2, 4, 6])], { attributes: { blocksize: 2 } }),
  row('CumSum', [x([3, 4]), whole('axis', [1], [])]),
  row('CumSum', [x([3, 4]), whole('axis', [0], [])], { what: 'exclusive, from the end', attributes: { exclusive: 1, reverse: 1 } }),
  row('Trilu', [x([2, 4, 5]), whole('k', [1], [])], { attributes: { upper: 0 } }),
  row('ReverseSequence', [x([4, 3, 2]), whole('lengths', [2, 4, 1])]),
];

const placeCases: readonly NamedGradientCase[] = [
  row('Gather', [x([4, 3]), whole('I', [2, 0, 2])]),
  row('Gather', [x([4, 3]), whole('I', [1, -1], [2, 1])], { what: 'axis 1', attributes: { axis: 1 } }),
  row('GatherElements', [x([3, 3]), whole('I', [2, 0, 1, 2, 0, 0], [2, 3])]),
  row('GatherElements', [x([3, 3]), whole('I', [0, 0, 2, 1, -1, 1], [3, 2])], { what: 'axis 1', attributes: { axis: 1 } }),
  row('GatherND', [x([3, 4, 2]), whole('I', [0, 1, 2, 3, 0, 1], [3, 2])]),
  row('ScatterElements', [x([3, 3]), whole('I', [1, 0, 2], [1, 3]), named('U', [1, 3])]),
  row('ScatterElements', [x([3, 3]), whole('I', [1, 1, 2], [3, 1]), named('U', [3, 1])], {
    what: 'added',
    attributes: { axis: 1, reduction: 'add' },
  }),
  row('ScatterND', [x([4, 2]), whole('I', [2, 0], [2, 1]), named('U', [2, 2])]),
  row('ScatterND', [x([4, 2]), whole('I', [2, 2], [2, 1]), named('U', [2, 2])], { what: 'added', attributes: { reduction: 'add' } }),
  row('TopK', [x([3, 5], clear([3, 5])), whole('k', [2])], { outputs: 2 }),
  row('TopK', [x([3, 5], clear([3, 5])), whole('k', [1])], { what: 'smallest, axis 0', outputs: 2, attributes: { axis: 0, largest: 0 } }),
];

const scales = (data: readonly number[]): InputCase => named('scales', [data.length], { data, constant: true });
const resizeCases: readonly NamedGradientCase[] = [
  row('Resize', [x([1, 2, 3, 4]), undefined, scales([1, 1, 2, 2])], {
    what: 'nearest, doubled',
    attributes: { coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' },
  }),
  ...['half_pixel', 'pytorch_half_pixel', 'align_corners', 'asymmetric'].flatMap((position) =>
    ['nearest', 'linear', 'cubic'].map((mode) =>
      row('Resize', [x([1, 2, 4, 5]), undefined, undefined, whole('sizes', [1, 2, 7, 3])], {
        what: `${mode}, ${position}`,
        attributes: { mode, coordinate_transformation_mode: position },
      }),
    ),
  ),
  ...['round_prefer_floor', 'round_prefer_ceil', 'floor', 'ceil'].map((rounding) =>
    row('Resize', [x([1, 1, 4, 4]), undefined, scales([1, 1, 1.5, 0.5])], {
      what: `nearest, ${rounding}`,
      attributes: { coordinate_transformation_mode: 'asymmetric', nearest_mode: rounding },
    }),
  ),
  row('Resize', [x([1, 1, 4, 4]), undefined, scales([1, 1, 1.7, 0.6])], {
    what: 'cubic without the outside',
    attributes: { mode: 'cubic', exclude_outside: 1, cubic_coeff_a: { float: -0.5 } },
  }),
  row('Resize', [x([1, 2, 4, 4]), undefined, scales([1, 1, 1.7, 0.6])], {
    what: 'linear, symmetric',
    opset: 19,
    attributes: { mode: 'linear', coordinate_transformation_mode: 'half_pixel_symmetric' },
  }),
];

export const gradientCases: readonly NamedGradientCase[] = [
  ...elementwiseCases,
  ...arithmeticCases,
  ...layerCases,
  ...normalizationCases,
  ...poolingCases,
  ...recurrentCases,
  ...attentionCases,
  ...reductionCases,
  ...shapeCases,
  ...placeCases,
  ...resizeCases,
];

/**
 * Operators whose gradient is held to finite differences under another name, because no operator set that onnxruntime runs in a
 * training graph has them: each is the same code as the operator named.
 */
export const SAME_GRADIENT_AS: ReadonlyMap<string, string> = new Map([
  [':Upsample', ':Resize'],
  [':Scatter', ':ScatterElements'],
]);
