/** How many inputs the standard asks for at least; what is missing is a file's fault, and is named before an operator trips over it. */
import { UserError } from '../errors';
import type { Node } from '../onnx/model';

/** Operators that do not take exactly one required input (their first). */
const LEAST_INPUTS: ReadonlyMap<string, number> = new Map([
  ['Constant', 0],
  ...[
    ...['Add', 'Sub', 'Mul', 'Div', 'Pow', 'PRelu', 'Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual', 'And', 'Or', 'Xor'],
    ...['MatMul', 'Gemm', 'Conv', 'ConvTranspose', 'Gather', 'Expand', 'Tile'],
    ...['GatherElements', 'GatherND', 'LayerNormalization', 'RMSNormalization', 'SimplifiedLayerNormalization', 'CumSum', 'Compress'],
    ...['CastLike', 'MaxUnpool', 'GridSample', 'AffineGrid', 'MaxRoiPool', 'CenterCropPad', 'QuantizeLinear', 'DequantizeLinear'],
    ...['ConvInteger', 'MatMulInteger', 'SoftmaxCrossEntropyLoss', 'NegativeLogLikelihoodLoss', 'Mod', 'BitShift', 'ReverseSequence'],
    ...['BitwiseAnd', 'BitwiseOr', 'BitwiseXor', 'STFT', 'NonMaxSuppression'],
  ].map((opType): [string, number] => [opType, 2]),
  ...['RandomNormal', 'RandomUniform'].map((opType): [string, number] => [opType, 0]),
  ...['Where', 'InstanceNormalization', 'GroupNormalization', 'ScatterElements', 'Scatter', 'ScatterND', 'OneHot'].map(
    (opType): [string, number] => [opType, 3],
  ),
  ...['RoiAlign', 'Col2Im', 'DeformConv'].map((opType): [string, number] => [opType, 3]),
  ['LSTM', 3],
  ['GRU', 3],
  ['RNN', 3],
  ['Range', 3],
  ['BatchNormalization', 5],
]);

/** @throws UserError where a required input of a standard operator is missing */
export function requireArity(node: Node): void {
  if (node.domain !== '') return;
  const least = LEAST_INPUTS.get(node.opType) ?? 1;
  for (let i = 0; i < least; i++)
    if (!node.inputs[i])
      throw new UserError(
        `it lacks its input number ${i + 1} of at least ${least}`,
        'The file is damaged, or was written by a faulty exporter.',
      );
}
