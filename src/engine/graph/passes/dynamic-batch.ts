import { UserError } from '../../errors';
import { attr, hasSubgraph, type Model, type Node, opsetOf, withGraph } from '../../onnx/model';
import { isFloat, Tensor } from '../../onnx/tensor';
import type { ValueType } from '../../ops/operator';
import { type Inferred, inferTypes } from '../infer';
import { layerNames } from '../layer-names';
import { freshName, type PassResult, readValues, useCounts } from './pass';

export interface DynamicBatchResult extends PassResult {
  /** Why the batch stays fixed, where it does. */
  readonly reason?: string;
}

/** The name the batch gets. */
const BATCH = 'N';

/** Operators that treat every element alike, wherever the batch lies. */
const PER_ELEMENT = new Set([
  ...['Relu', 'LeakyRelu', 'Elu', 'Selu', 'Celu', 'Sigmoid', 'HardSigmoid', 'HardSwish', 'Tanh', 'Softplus', 'Softsign', 'Gelu', 'Mish'],
  ...['Clip', 'Abs', 'Neg', 'Exp', 'Log', 'Sqrt', 'Reciprocal', 'Erf', 'Floor', 'Ceil', 'Identity', 'Dropout', 'Cast', 'ThresholdedRelu'],
]);
/** Operators that treat every sample alike whatever their attributes, batch first in and out. */
const PER_SAMPLE = new Set([
  ...PER_ELEMENT,
  ...['Conv', 'ConvTranspose', 'BatchNormalization', 'InstanceNormalization', 'LRN', 'PRelu'],
  ...['MaxPool', 'AveragePool', 'LpPool', 'GlobalAveragePool', 'GlobalMaxPool', 'GlobalLpPool'],
  ...['QuantizeLinear', 'DequantizeLinear', 'DepthToSpace', 'SpaceToDepth'],
]);
const ELEMENTWISE = new Set(['Add', 'Sub', 'Mul', 'Div', 'Pow', 'Sum', 'Max', 'Min', 'Mean', 'Where']);

/**
 * Makes a batch that the file fixes symbolic, so that one session scores any number of samples. Safe where
 * 1. every input and output has the same fixed leading length;
 * 2. every node on the way keeps samples apart, with the batch as its first axis in and out; Transpose, Gather, Slice, Split, Squeeze,
 *    Unsqueeze and reductions may move it to another axis and back (queries, keys and values taken from one value), where elementwise operators,
 *    products with one matrix and recurrent layers leave it;
 * 3. a Reshape that names the batch can take it from its input: the lengths up to it become 0 ("as the input has it"), or −1 is
 *    already there and stays true. (`allowzero`, which would make 0 a length, goes where no length is 0.)
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
  /** The axis of the batch, by value. */
  const batched = new Map(graph.inputs.map((i) => [i.name, 0]));
  const nodes: Node[] = [];
  for (const node of graph.nodes) {
    if (!readValues(node).some((i) => batched.has(i))) {
      nodes.push(node);
      continue;
    }
    if (hasSubgraph(node)) return stay(model, `${node.opType} '${names.get(node)}' holds graphs of its own, which may count on the batch`);
    const step = throughNode(node, batch, batched, inferred, model);
    if (typeof step === 'string') return stay(model, `${node.opType} '${names.get(node)}' ${step}`);
    for (const [i, o] of node.outputs.entries()) if (o !== '') batched.set(o, step.axes?.[i] ?? step.axis ?? 0);
    if (!step.shape) {
      nodes.push(node);
      continue;
    }
    const old = initializers.get(node.inputs[1]);
    const name =
      old && uses.get(old.name) === 1 ? old.name : freshName({ has: (n) => initializers.has(n) || uses.has(n) }, `${node.inputs[1]}_batch`);
    initializers.set(name, Tensor.ints(name, step.shape));
    const attributes = new Map([...node.attributes].filter(([key]) => key !== 'allowzero'));
    nodes.push({ ...node, inputs: [node.inputs[0], name], attributes });
  }
  for (const { name } of graph.outputs) {
    const axis = batched.get(name);
    if (axis !== 0)
      return stay(model, axis === undefined ? 'an output does not depend on the input' : `output '${name}' has it as axis ${axis}`);
  }
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

/** What becomes of a node that reads batched values: a reason against it, or the new constant of a Reshape, and the batch's axis after it (of each output). */
function throughNode(
  node: Node,
  batch: number,
  batched: ReadonlyMap<string, number>,
  inferred: Inferred,
  model: Model,
): string | { shape?: number[]; axis?: number; axes?: readonly number[] } {
  const typeOf = (name: string): ValueType | undefined => inferred.types.get(name);
  const rankOf = (name: string): number | undefined => typeOf(name)?.shape?.length;
  const rank = rankOf(node.inputs[0]);
  const at = Math.max(...node.inputs.map((i) => batched.get(i) ?? 0));
  const onBatch = (axis: number): boolean => axis === at || (rank !== undefined && axis === at - rank);
  const constants = (input: number): number[] | undefined => typeOf(node.inputs[input] ?? '')?.value?.numbers();
  const fine = {};
  if (FUSED.has(`${node.domain}:${node.opType}`)) return fusedStep(node, batched, inferred);
  if (node.domain !== '') return 'is not a standard operator';
  if (
    node.inputs.some((i, at) => at > 0 && batched.has(i)) &&
    !ELEMENTWISE.has(node.opType) &&
    !RECURRENT.has(node.opType) &&
    node.opType !== 'Concat' &&
    node.opType !== 'MatMul'
  )
    return 'combines samples in a way that is not known to keep them apart';
  if (RECURRENT.has(node.opType)) return recurrentStep(node, at, batched);
  if (MOVES.has(node.opType)) return moved(node, at, rank, constants, rankOf(node.inputs[1] ?? ''));
  if (at !== 0 && node.opType === 'Reshape') {
    const step = reshapeStep(node, batch, at, typeOf(node.inputs[0])?.shape, constants(1));
    return typeof step === 'string' ? step : { ...step, axis: at };
  }
  if (at !== 0) return behindFirst(node, at, batched, inferred);
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
    case 'LayerNormalization':
    case 'RMSNormalization':
    case 'SimplifiedLayerNormalization':
      return onBatch(attr.int(node, 'axis', -1)) ? 'works along the batch' : fine;
    case 'Flatten':
      return attr.int(node, 'axis', 1) === 1 || (rank !== undefined && attr.int(node, 'axis', 1) === 1 - rank)
        ? fine
        : 'merges the batch with other axes';
    case 'Concat':
      return onBatch(attr.int(node, 'axis', 0)) ? 'works along the batch' : fine;
    case 'Softmax':
    case 'LogSoftmax':
      return onBatch(attr.int(node, 'axis', opsetOf(model) < 13 ? 1 : -1)) ? 'works along the batch' : fine;
    case 'Pad': {
      const pads = constants(1) ?? attr.ints(node, 'pads');
      if (!pads || rank === undefined || (node.inputs[3] ?? '') !== '') return 'pads by lengths that are not constant';
      return pads[0] === 0 && pads[rank] === 0 ? fine : 'pads the batch';
    }
    case 'Reshape':
      return reshapeStep(node, batch, 0, typeOf(node.inputs[0])?.shape, constants(1));
    default:
      return 'is not known to keep samples apart';
  }
}

/** Operators that reorder or cut axes, the batch being any of them. */
const REDUCTIONS = ['ReduceMean', 'ReduceSum', 'ReduceMax', 'ReduceMin'];
const MOVES = new Set(['Transpose', 'Gather', 'Slice', 'Split', 'Squeeze', 'Unsqueeze', ...REDUCTIONS]);

/** Where such an operator moves the batch from axis `at`, or a reason against it. */
function moved(
  node: Node,
  at: number,
  rank: number | undefined,
  constants: (input: number) => number[] | undefined,
  indicesRank: number | undefined,
): string | { axis: number } {
  if (rank === undefined) return 'works on a value of unknown rank';
  const fromFront = (axes: readonly number[], of = rank): number[] => axes.map((axis) => (axis < 0 ? axis + of : axis));
  const stated = (input: number): number[] | undefined => attr.ints(node, 'axes') ?? constants(input);
  switch (node.opType) {
    case 'Transpose': {
      const perm = attr.ints(node, 'perm') ?? Array.from({ length: rank }, (_, i) => rank - 1 - i);
      return { axis: perm.indexOf(at) };
    }
    case 'Gather': {
      const [axis] = fromFront([attr.int(node, 'axis', 0)]);
      if (axis === at) return 'works along the batch';
      if (axis > at) return { axis: at };
      return indicesRank === undefined ? 'takes positions of unknown rank' : { axis: at + indicesRank - 1 };
    }
    case 'Split':
      return fromFront([attr.int(node, 'axis', 0)])[0] === at ? 'works along the batch' : { axis: at };
    case 'Slice': {
      const axes = stated(3);
      return axes && !fromFront(axes).includes(at) ? { axis: at } : 'may cut the batch';
    }
    case 'Squeeze': {
      const axes = stated(1);
      if (!axes?.length || fromFront(axes).includes(at)) return 'works along the batch';
      return { axis: at - fromFront(axes).filter((axis) => axis < at).length };
    }
    case 'Unsqueeze': {
      const axes = stated(1);
      if (!axes) return 'adds axes that are not constant';
      const added = fromFront(axes, rank + axes.length);
      const kept = Array.from({ length: rank + axes.length }, (_, i) => i).filter((i) => !added.includes(i));
      return { axis: kept[at] };
    }
    default: {
      const axes = stated(1);
      if (!axes?.length || fromFront(axes).includes(at)) return 'works along the batch';
      return { axis: attr.int(node, 'keepdims', 1) === 1 ? at : at - fromFront(axes).filter((axis) => axis < at).length };
    }
  }
}

/** What becomes of a value whose batch is axis `at`, behind another one. */
function behindFirst(node: Node, at: number, batched: ReadonlyMap<string, number>, { types }: Inferred): string | { axis: number } {
  const shapes = node.inputs.map((name) => types.get(name)?.shape);
  const rank = shapes[0]?.length;
  const stays = { axis: at };
  if (PER_ELEMENT.has(node.opType)) return stays;
  if (ELEMENTWISE.has(node.opType)) {
    const out = types.get(node.outputs[0])?.shape?.length;
    const fits = node.inputs.every((name, i) => {
      const shape = shapes[i];
      if (!shape || out === undefined) return false;
      if (batched.has(name)) return shape.length === out && batched.get(name) === at;
      return (shape[at - (out - shape.length)] ?? 1) === 1;
    });
    return fits ? stays : 'combines values that do not have the batch at one place';
  }
  const right = node.inputs[1] ?? '';
  if (node.opType === 'MatMul' && batched.has(node.inputs[0]) && !batched.has(right) && (shapes[1]?.length ?? 9) <= 2)
    return at < (rank ?? 0) - 1 ? stays : 'sums over the batch';
  return 'works on a value whose first axis is not the batch';
}

/** Attention, and what onnxruntime fuses around it: the batch first in all inputs, or constants that serve every sample. */
const FUSED = new Set([
  ':Attention',
  ...['Attention', 'MultiHeadAttention', 'Gelu', 'QuickGelu', 'FastGelu', 'BiasGelu'].map((opType) => `com.microsoft:${opType}`),
  ...['SkipLayerNormalization', 'SkipSimplifiedLayerNormalization'].map((opType) => `com.microsoft:${opType}`),
]);

function fusedStep(node: Node, batched: ReadonlyMap<string, number>, { types }: Inferred): string | { axis: number } {
  const serves = (name: string): boolean => {
    const { type, shape } = types.get(name) ?? {};
    return type !== undefined && isFloat(type) && shape !== undefined && (shape.length <= 2 || shape[0] === 1);
  };
  const fits = node.inputs.every((name) => name === '' || (batched.has(name) ? batched.get(name) === 0 : serves(name)));
  const cached = node.opType.endsWith('Attention') && node.outputs.slice(1).some((o) => o !== '');
  return fits && !cached ? { axis: 0 } : 'combines samples in a way that is not known to keep them apart';
}

const RECURRENT = new Set(['LSTM', 'GRU', 'RNN']);

/** X [steps, batch, …] → Y [steps, directions, batch, …], states [directions, batch, …]; with layout 1 the batch comes first in each. */
function recurrentStep(node: Node, at: number, batched: ReadonlyMap<string, number>): string | { axes: readonly number[] } {
  const batchFirst = attr.int(node, 'layout', 0) === 1;
  if (at !== (batchFirst ? 0 : 1)) return 'does not have the batch where it expects it';
  // Lengths and states that the file holds are of its own batch.
  if ([4, 5, 6].some((input) => node.inputs[input] && !batched.has(node.inputs[input]))) return 'begins with states of a fixed batch';
  return { axes: batchFirst ? [0, 0, 0] : [2, 1, 1] };
}

/** Case 3. @param at axis of the batch */
function reshapeStep(
  node: Node,
  batch: number,
  at: number,
  from: readonly (number | string)[] | undefined,
  shape: readonly number[] | undefined,
): string | { shape?: number[] } {
  if (!shape || !from) return 'has a target shape that is not constant';
  if (attr.int(node, 'allowzero', 0) !== 0 && shape.includes(0)) return 'keeps zeros in its target shape';
  const before = shape.slice(0, at);
  if (before.some((d, i) => d !== 0 && d !== from[i])) return 'merges the batch with other axes';
  if (before.length === at && shape[at] === 0) return {};
  const others = shape.slice(at + 1);
  const sample = from.slice(at + 1).reduce<number>((a, d) => a * Number(d), 1);
  const rest = others.map((d, i) => (d === 0 ? Number(from[at + 1 + i]) : d));
  if (shape[at] === -1) return rest.reduce((a, d) => a * d, 1) === sample ? {} : 'splits samples';
  if (shape[at] !== batch) return 'merges the batch with other axes';
  const open = rest.includes(-1);
  if (!open && rest.reduce((a, d) => a * d, 1) !== sample) return 'merges the batch with other axes';
  return { shape: [...before.map(() => 0), 0, ...others] };
}
