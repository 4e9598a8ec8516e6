/** Models that are quantised already: which operators say so. */
import type { Model, Node } from '../onnx/model';

/** Operators of whole-number codes; those of com.microsoft are what onnxruntime's quantiser writes. */
const INTEGER_OPERATORS = new Set([
  ...['QuantizeLinear', 'DequantizeLinear', 'DynamicQuantizeLinear', 'QLinearConv', 'QLinearMatMul', 'ConvInteger', 'MatMulInteger'],
  ...['QLinearAdd', 'QLinearMul', 'QLinearAveragePool', 'QLinearGlobalAveragePool', 'QLinearConcat', 'QLinearLeakyRelu', 'QLinearSigmoid'],
  ...['QLinearSoftmax', 'QGemm', 'QAttention', 'DynamicQuantizeMatMul', 'MatMulIntegerToFloat', 'DynamicQuantizeLSTM', 'MatMulNBits'],
]);

export const isIntegerOperator = (node: Node): boolean =>
  (node.domain === '' || node.domain === 'com.microsoft') && INTEGER_OPERATORS.has(node.opType);

const CODES = new Set(['int8', 'uint8', 'int4', 'uint4']);

/** A Cast that turns constant codes into floats, which a Mul then scales: how weights are kept where activations stay float. */
export const isStoredCodes = (model: Model, node: Node): boolean =>
  node.opType === 'Cast' && node.domain === '' && CODES.has(model.graph.initializers.get(node.inputs[0])?.type ?? '');

/** How the model is quantised, in words: '2 QLinearConv, 4 QuantizeLinear'; undefined where it is not. */
export function quantizedForm(model: Model): string | undefined {
  const counts = new Map<string, number>();
  for (const node of model.graph.nodes) {
    const what = isIntegerOperator(node) ? node.opType : isStoredCodes(model, node) ? 'Cast of stored codes' : undefined;
    if (what) counts.set(what, (counts.get(what) ?? 0) + 1);
  }
  if (counts.size === 0) return undefined;
  return [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([what, count]) => `${count} ${what}`)
    .join(', ');
}
