/**
 * Quantised models that stock onnxruntime runs (docs/formats.md).
 * Weights become int8 codes with one scale an output channel.
 * - Float activations: codes are turned back by Cast and Mul, which onnxruntime folds into float weights when it loads the file, so
 *   that the model runs exactly as fast as the float one. (A DequantizeLinear is not folded: it keeps convolutions out of the blocked
 *   layout and made ResNet-20 1.7 times slower than float.)
 * - 8-bit activations: every activation at a quantised layer, addition or pooling passes QuantizeLinear/DequantizeLinear, and weights
 *   DequantizeLinear, which onnxruntime fuses to integer kernels (u8 activations with s8 weights; s8 with s8 is slower than float).
 *   Recurrent layers have no such kernels: they stay as with float activations.
 */
import { type Model, makeNode, type Node, opsetOf, withGraph } from '../onnx/model';
import { Tensor } from '../onnx/tensor';
import { type ActivationRange, affineParameters } from './activation-ranges';
import type { QuantizedLayer } from './quantized-layer';

/** Operators that onnxruntime runs on 8-bit codes when quantisation surrounds them. */
const INTEGER_OPERATORS = new Set([
  'Conv',
  'Gemm',
  'MatMul',
  'Add',
  'MaxPool',
  'GlobalAveragePool',
  'AveragePool',
  'Concat',
  'Flatten',
  'Reshape',
]);
/** Their output holds values of their input only: it shares the input's scale, so that codes pass through unchanged. */
const SAME_RANGE = new Set(['MaxPool', 'Flatten', 'Reshape']);
const FUSED_ACTIVATIONS = new Set(['Relu']);

/** Per-channel DequantizeLinear came with operator set 13. */
const PER_CHANNEL_OPSET = 13;

/** A layer's first output tells it apart in every copy of the model. */
const keyOf = (l: QuantizedLayer): string => l.layer.node.outputs[0];

/** onnxruntime runs it on integers where quantisation surrounds it. */
const runsOnIntegers = ({ layer }: QuantizedLayer): boolean => layer.kind !== 'recurrent';

/** Values that must be quantised for these layers to run on integers; their ranges are what calibration has to find. */
export function activationValues(model: Model, layers: readonly QuantizedLayer[]): string[] {
  const { graph } = model;
  const quantized = new Set(layers.filter(runsOnIntegers).map((l) => keyOf(l)));
  const uses = new Map<string, Node[]>();
  for (const n of graph.nodes) for (const i of n.inputs) if (i !== '') uses.set(i, [...(uses.get(i) ?? []), n]);
  const outputs = new Set(graph.outputs.map((o) => o.name));
  const values = new Set<string>();
  // Starting from the quantised layers, integer arithmetic spreads over additions and pooling that already have a quantised input.
  for (const n of graph.nodes) {
    const isLayer = quantized.has(n.outputs[0]);
    const spreads = !isLayer && INTEGER_OPERATORS.has(n.opType) && !['Conv', 'Gemm', 'MatMul'].includes(n.opType);
    const activations = n.inputs.filter(
      (i, k) => i !== '' && !graph.initializers.has(i) && (k === 0 || n.opType === 'Add' || n.opType === 'Concat' || n.opType === 'MatMul'),
    );
    if (!isLayer && !(spreads && activations.every((a) => values.has(a)))) continue;
    for (const a of activations) values.add(a);
    const out = afterActivation(n.outputs[0], uses, outputs);
    if (!outputs.has(out)) values.add(out);
  }
  return [...values];
}

/** A Relu that is alone in reading a layer's output belongs to the layer: the codes of its output cannot be negative anyway. */
function afterActivation(value: string, uses: ReadonlyMap<string, Node[]>, outputs: ReadonlySet<string>): string {
  const readers = uses.get(value) ?? [];
  if (readers.length === 1 && FUSED_ACTIVATIONS.has(readers[0].opType) && !outputs.has(value)) return readers[0].outputs[0];
  return value;
}

export interface QuantizedExport {
  readonly layers: readonly QuantizedLayer[];
  /** Ranges by value name: makes activations 8-bit. Absent: activations stay float. */
  readonly ranges?: ReadonlyMap<string, ActivationRange>;
}

/** The quantised model. Layers that are not listed stay float. */
export function exportQuantized(model: Model, { layers, ranges }: QuantizedExport): Model {
  const { graph } = model;
  const initializers = new Map(graph.initializers);
  const nodes: Node[] = [];
  // Older operator sets have no per-channel DequantizeLinear: their activations stay float.
  const integer = ranges !== undefined && opsetOf(model) >= PER_CHANNEL_OPSET;

  for (const entry of layers) {
    const { layer, weights } = entry;
    const { dims } = graph.initializers.get(layer.weight)!;
    initializers.delete(layer.weight);
    const codes = `${layer.weight}.codes`;
    const scale = `${layer.weight}.scale`;
    initializers.set(
      codes,
      new Tensor(codes, 'int8', dims, new Uint8Array(weights.codes.buffer, weights.codes.byteOffset, weights.codes.length)),
    );
    if (integer && runsOnIntegers(entry)) {
      initializers.set(scale, Tensor.float32(scale, [weights.scales.length], weights.scales));
      nodes.push(
        makeNode('DequantizeLinear', [codes, scale], [layer.weight], { axis: layer.outAxis }, { name: `${layer.weight}.dequantize` }),
      );
    } else {
      const shape = dims.map((d, i) => (i === layer.outAxis ? d : 1));
      initializers.set(scale, Tensor.float32(scale, shape, weights.scales));
      nodes.push(makeNode('Cast', [codes], [`${codes}.float`], { to: 1 }), makeNode('Mul', [`${codes}.float`, scale], [layer.weight]));
    }
  }

  const quantizedName = new Map<string, string>();
  if (integer) {
    for (const value of ranges.keys()) quantizedName.set(value, `${value}.u8.float`);
  }
  const shared = shareRanges(model, ranges ?? new Map());
  const quantize = (value: string): Node[] => {
    const { scale, zeroPoint } = affineParameters(shared.get(value)!);
    const s = `${value}.u8.scale`;
    const z = `${value}.u8.zero`;
    initializers.set(s, Tensor.scalar(s, scale));
    initializers.set(z, new Tensor(z, 'uint8', [], Uint8Array.of(zeroPoint)));
    return [
      makeNode('QuantizeLinear', [value, s, z], [`${value}.u8`], {}, { name: `${value}.quantize` }),
      makeNode('DequantizeLinear', [`${value}.u8`, s, z], [`${value}.u8.float`], {}, { name: `${value}.dequantize` }),
    ];
  };

  for (const input of graph.inputs) if (quantizedName.has(input.name)) nodes.push(...quantize(input.name));
  const byOutput = new Map(layers.filter(runsOnIntegers).map((l) => [keyOf(l), l]));
  for (const node of graph.nodes) {
    const entry = byOutput.get(node.outputs[0]);
    const fused = FUSED_ACTIVATIONS.has(node.opType);
    const inputs = node.inputs.map((i) => (fused ? i : (quantizedName.get(i) ?? i)));
    if (entry && quantizedName.has(node.inputs[0])) integerBias(entry, node, inputs, shared, initializers, nodes);
    nodes.push({ ...node, inputs });
    for (const o of node.outputs) if (quantizedName.has(o)) nodes.push(...quantize(o));
  }
  return withGraph(model, { nodes, initializers });
}

/** Biases of integer kernels are int32 at scale (activation scale × weight scale), exactly what the accumulator holds. */
function integerBias(
  { layer, weights }: QuantizedLayer,
  node: Node,
  inputs: string[],
  ranges: ReadonlyMap<string, ActivationRange>,
  initializers: Map<string, Tensor>,
  nodes: Node[],
): void {
  const bias = node.inputs[2];
  const tensor = bias ? initializers.get(bias) : undefined;
  if (!tensor || tensor.size !== weights.scales.length || node.opType === 'MatMul') return;
  const { scale } = affineParameters(ranges.get(node.inputs[0])!);
  const scales = Float32Array.from(weights.scales, (s) => Math.max(Math.fround(s * scale), 1e-30));
  const values = tensor.floats();
  const codes = Int32Array.from(values, (v, i) => Math.max(-(2 ** 31), Math.min(2 ** 31 - 1, Math.round(v / scales[i]))));
  const name = `${layer.weight}.bias`;
  initializers.set(`${name}.codes`, new Tensor(`${name}.codes`, 'int32', [codes.length], new Uint8Array(codes.buffer)));
  initializers.set(`${name}.scale`, Tensor.float32(`${name}.scale`, [scales.length], scales));
  initializers.delete(bias);
  nodes.push(
    makeNode('DequantizeLinear', [`${name}.codes`, `${name}.scale`], [`${name}.float`], { axis: 0 }, { name: `${name}.dequantize` }),
  );
  inputs[2] = `${name}.float`;
}

/** Values whose codes pass through unchanged take the range of what they come from. */
function shareRanges(model: Model, ranges: ReadonlyMap<string, ActivationRange>): Map<string, ActivationRange> {
  const out = new Map(ranges);
  for (const n of model.graph.nodes) {
    const from = out.get(n.inputs[0]);
    if (SAME_RANGE.has(n.opType) && from && out.has(n.outputs[0])) out.set(n.outputs[0], from);
  }
  return out;
}
