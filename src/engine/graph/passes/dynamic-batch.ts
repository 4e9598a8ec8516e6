import { UserError } from '../../errors';
import { attr, type Model, type Node, opsetOf, withGraph } from '../../onnx/model';
import { Tensor } from '../../onnx/tensor';
import type { ValueType } from '../../ops/operator';
import { type Inferred, inferTypes } from '../infer';
import { layerNames } from '../layer-names';
import { freshName, type PassResult, useCounts } from './pass';

export interface DynamicBatchResult extends PassResult {
  /** Why the batch stays fixed, where it does. */
  readonly reason?: string;
}

/** The name the batch gets. */
const BATCH = 'N';

/** Operators that treat every sample alike whatever their attributes, batch first in and out. */
const PER_SAMPLE = new Set([
  ...['Conv', 'ConvTranspose', 'BatchNormalization', 'InstanceNormalization', 'LRN', 'PRelu'],
  ...['MaxPool', 'AveragePool', 'LpPool', 'GlobalAveragePool', 'GlobalMaxPool', 'GlobalLpPool'],
  ...['Relu', 'LeakyRelu', 'Elu', 'Selu', 'Celu', 'Sigmoid', 'HardSigmoid', 'HardSwish', 'Tanh', 'Softplus', 'Softsign', 'Gelu', 'Mish'],
  ...['Clip', 'Abs', 'Neg', 'Exp', 'Log', 'Sqrt', 'Reciprocal', 'Erf', 'Floor', 'Ceil', 'Identity', 'Dropout', 'Cast', 'ThresholdedRelu'],
  ...['QuantizeLinear', 'DequantizeLinear', 'DepthToSpace', 'SpaceToDepth'],
]);
const ELEMENTWISE = new Set(['Add', 'Sub', 'Mul', 'Div', 'Pow', 'Sum', 'Max', 'Min', 'Mean', 'Where']);

/**
 * Makes a batch that the file fixes symbolic, so that one session scores any number of samples. Safe where
 * 1. every input and output has the same fixed leading length;
 * 2. every node on the way keeps samples apart, with the batch as its first axis in and out;
 * 3. a Reshape that names the batch can take it from its input: its leading length becomes 0 ("as the input has it"), or −1 is
 *    already there and stays true.
 * Otherwise the model is left as it is, with the reason.
 */
export function dynamicBatch(model: Model): DynamicBatchResult {
  const { graph } = model;
  const lengths = [...graph.inputs, ...graph.outputs].map((v) => v.shape?.[0]);
  if (graph.inputs.length > 0 && graph.inputs.every((i) => typeof i.shape?.[0] === 'string')) return { model, modified: false };
  const batch = lengths[0];
  // Case 1.
  if (typeof batch !== 'number' || lengths.some((l) => l !== batch))
    return stay(model, `its inputs and outputs have different leading lengths (${lengths.map((l) => l ?? 'unknown').join(', ')})`);
  const names = layerNames(model);
  const inferred = inferTypes(model);
  const initializers = new Map(graph.initializers);
  const uses = useCounts(graph);
  /** Values with the batch as their first axis. */
  const batched = new Set(graph.inputs.map((i) => i.name));
  const nodes: Node[] = [];
  for (const node of graph.nodes) {
    if (!node.inputs.some((i) => batched.has(i))) {
      nodes.push(node);
      continue;
    }
    const step = throughNode(node, batch, batched, inferred, model);
    if (typeof step === 'string') return stay(model, `${node.opType} '${names.get(node)}' ${step}`);
    for (const o of node.outputs) if (o !== '') batched.add(o);
    if (!step.shape) {
      nodes.push(step.node ?? node);
      continue;
    }
    const old = initializers.get(node.inputs[1]);
    const name =
      old && uses.get(old.name) === 1 ? old.name : freshName({ has: (n) => initializers.has(n) || uses.has(n) }, `${node.inputs[1]}_batch`);
    initializers.set(name, Tensor.ints(name, step.shape));
    nodes.push({ ...node, inputs: [node.inputs[0], name] });
  }
  if (graph.outputs.some((o) => !batched.has(o.name))) return stay(model, 'an output does not depend on the input');
  const symbolic = <T extends { shape?: readonly (number | string)[] }>(v: T): T => ({
    ...v,
    shape: v.shape && [BATCH, ...v.shape.slice(1)],
  });
  const changed = withGraph(model, { nodes, initializers, inputs: graph.inputs.map(symbolic), outputs: graph.outputs.map(symbolic) });
  // The rewritten graph must still make sense at another batch.
  try {
    const types = inferTypes(changed, { batch: batch + 2 }).types;
    for (const o of graph.outputs) {
      const length = types.get(o.name)?.shape?.[0];
      if (typeof length === 'number' && length !== batch + 2) return stay(model, `output '${o.name}' does not follow the batch`);
    }
  } catch (e) {
    if (e instanceof UserError) return stay(model, e.message);
    throw e;
  }
  return { model: changed, modified: true };
}

const stay = (model: Model, why: string): DynamicBatchResult => ({ model, modified: false, reason: `the batch stays fixed: ${why}` });

/** What becomes of a node that reads batched values: a reason against it, or the node, or the new constant of a Reshape. */
function throughNode(
  node: Node,
  batch: number,
  batched: ReadonlySet<string>,
  inferred: Inferred,
  model: Model,
): string | { node?: Node; shape?: number[] } {
  const typeOf = (name: string): ValueType | undefined => inferred.types.get(name);
  const rankOf = (name: string): number | undefined => typeOf(name)?.shape?.length;
  const rank = rankOf(node.inputs[0]);
  const onFirst = (axis: number): boolean => axis === 0 || (rank !== undefined && axis === -rank);
  const constants = (input: number): number[] | undefined => typeOf(node.inputs[input] ?? '')?.value?.numbers();
  const fine = {};
  if (node.domain !== '') return 'is not a standard operator';
  if (
    node.inputs.some((i, at) => at > 0 && batched.has(i)) &&
    !ELEMENTWISE.has(node.opType) &&
    node.opType !== 'Concat' &&
    node.opType !== 'MatMul'
  )
    return 'combines samples in a way that is not known to keep them apart';
  if (PER_SAMPLE.has(node.opType)) return fine;
  if (ELEMENTWISE.has(node.opType)) {
    const out = rankOf(node.outputs[0]);
    for (const name of node.inputs) {
      if (batched.has(name)) {
        if (rankOf(name) !== out) return 'broadcasts values of different ranks';
      } else if (out !== undefined && rankOf(name) === out && typeOf(name)?.shape?.[0] !== 1) return 'adds a constant for each sample';
    }
    return fine;
  }
  switch (node.opType) {
    case 'Gemm': {
      if (attr.int(node, 'transA', 0)) return 'transposes the batch';
      const bias = typeOf(node.inputs[2] ?? '')?.shape;
      return bias && bias.length === 2 && bias[0] !== 1 ? 'adds a constant for each sample' : fine;
    }
    case 'MatMul': {
      const right = node.inputs[1];
      if (!batched.has(node.inputs[0])) return 'multiplies from the left';
      if (batched.has(right)) return rank === rankOf(right) && (rank ?? 0) > 2 ? fine : 'multiplies samples with each other';
      return (rankOf(right) ?? 9) <= 2 && (rank ?? 0) >= 2 ? fine : 'multiplies with a stack of matrices';
    }
    case 'Flatten':
      return attr.int(node, 'axis', 1) === 1 || (rank !== undefined && attr.int(node, 'axis', 1) === 1 - rank)
        ? fine
        : 'merges the batch with other axes';
    case 'Concat':
    case 'Split':
      return onFirst(attr.int(node, 'axis', 0)) ? 'works along the batch' : fine;
    case 'Softmax':
    case 'LogSoftmax':
      return onFirst(attr.int(node, 'axis', opsetOf(model) < 13 ? 1 : -1)) ? 'works along the batch' : fine;
    case 'Transpose':
      return attr.ints(node, 'perm')?.[0] === 0 ? fine : 'moves the batch to another axis';
    case 'Pad': {
      const pads = constants(1) ?? attr.ints(node, 'pads');
      if (!pads || rank === undefined || (node.inputs[3] ?? '') !== '') return 'pads by lengths that are not constant';
      return pads[0] === 0 && pads[rank] === 0 ? fine : 'pads the batch';
    }
    case 'Slice': {
      const axes = constants(3) ?? attr.ints(node, 'axes');
      return axes?.some(onFirst) === false ? fine : 'may cut the batch';
    }
    case 'ReduceMean':
    case 'ReduceSum':
    case 'ReduceMax':
    case 'ReduceMin':
    case 'Squeeze':
    case 'Unsqueeze': {
      const axes = attr.ints(node, 'axes') ?? constants(1);
      return axes?.length && !axes.some(onFirst) ? fine : 'works along the batch';
    }
    case 'Reshape':
      return reshapeStep(node, batch, typeOf(node.inputs[0])?.shape, constants(1));
    default:
      return 'is not known to keep samples apart';
  }
}

/** Case 3. */
function reshapeStep(
  node: Node,
  batch: number,
  from: readonly (number | string)[] | undefined,
  shape: readonly number[] | undefined,
): string | { shape?: number[] } {
  if (!shape || !from) return 'has a target shape that is not constant';
  if (attr.int(node, 'allowzero', 0) !== 0) return 'keeps zeros in its target shape';
  if (shape[0] === 0) return {};
  const others = shape.slice(1);
  const sample = from.slice(1).reduce<number>((a, d) => a * Number(d), 1);
  const rest = others.map((d, i) => (d === 0 ? Number(from[i + 1]) : d));
  if (shape[0] === -1) return rest.reduce((a, d) => a * d, 1) === sample ? {} : 'splits samples';
  if (shape[0] !== batch) return 'merges the batch with other axes';
  const open = rest.includes(-1);
  if (!open && rest.reduce((a, d) => a * d, 1) !== sample) return 'merges the batch with other axes';
  return { shape: [0, ...others] };
}
