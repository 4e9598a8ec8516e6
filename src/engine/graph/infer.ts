/** Types and shapes of every value of a model, by walking the graph once in order. */
import { UserError } from '../errors';
import { type Dim, hasSubgraph, type Model, type Node, opsetOf, type Shape, type ValueInfo } from '../onnx/model';
import { requireArity } from '../ops/arity';
import type { ValueType } from '../ops/operator';
import { findOperator } from '../ops/registry';

export interface InferOptions {
  /** Lengths for the graph's inputs in place of what the file states, by input name. */
  readonly inputShapes?: Readonly<Record<string, Shape>>;
  /** Replaces the leading symbolic length of every input (the batch). */
  readonly batch?: number;
}

export interface Inferred {
  /** By value name; a value that is absent, or has no shape, is unknown. */
  readonly types: ReadonlyMap<string, ValueType>;
  /** Nodes whose operator is not registered, each once. */
  readonly unknownOperators: ReadonlyArray<{ node: Node; reason: string }>;
}

/**
 * Infers the type and shape of every value, and constant values where they follow from shapes.
 * @throws UserError naming the node whose inputs cannot belong to it
 */
export function inferTypes(model: Model, options: InferOptions = {}): Inferred {
  const types = new Map<string, ValueType>();
  /** What the file states inside the graph was true of the inputs that it states. */
  let asStated = true;
  for (const t of model.graph.initializers.values()) types.set(t.name, { type: t.type, shape: t.dims, value: t });
  for (const input of model.graph.inputs) {
    const given = options.inputShapes && Object.hasOwn(options.inputShapes, input.name) ? options.inputShapes[input.name] : undefined;
    if (given && !sameShape(given, input.shape)) asStated = false;
    types.set(input.name, { type: input.type, shape: withBatch(given ?? input.shape, options.batch) });
  }
  const unknownOperators: Array<{ node: Node; reason: string }> = [];
  const opset = opsetOf(model);
  for (const node of model.graph.nodes) {
    const operator = findOperator(node.opType, node.domain);
    if (!operator) {
      const qualified = node.domain ? `${node.domain}.${node.opType}` : node.opType;
      unknownOperators.push({
        node,
        reason: hasSubgraph(node)
          ? `operator ${qualified} (node '${node.name || node.outputs[0]}') holds graphs of its own; they are carried through untouched`
          : `operator ${qualified} (node '${node.name || node.outputs[0]}') is not known; it is carried through untouched`,
      });
      for (const output of node.outputs) {
        const stated = asStated ? model.graph.valueInfo?.get(output) : undefined;
        if (output !== '' && stated && holdsTensor(stated))
          types.set(output, { type: stated.type, shape: withBatch(stated.shape, options.batch) });
      }
      continue;
    }
    const inputs = node.inputs.map((name) => (name === '' ? undefined : (types.get(name) ?? { type: 'float32' as const })));
    let outputs: ValueType[];
    try {
      requireArity(node);
      outputs = operator.infer({ node, opset, inputs });
      outputs.slice(0, node.outputs.length).forEach(requirePossible);
    } catch (e) {
      if (e instanceof UserError)
        throw new UserError(`node '${node.name || node.outputs[0]}' (${node.opType}): ${e.message}`, e.hint, { cause: e });
      throw e;
    }
    node.outputs.forEach((name, i) => {
      if (name !== '' && outputs[i]) types.set(name, outputs[i]);
    });
  }
  // What a file states of its outputs helps where an operator on the way is unknown.
  for (const output of model.graph.outputs) {
    if (!types.get(output.name)?.shape && output.shape) types.set(output.name, { type: output.type, shape: output.shape });
  }
  return { types, unknownOperators };
}

/**
 * The model with what its file states of the outputs of unknown operators, and of nothing else: all other values are inferred, and
 * what the file says of them goes stale as soon as the graph changes.
 */
export function keepNeededValueInfo(model: Model): Model {
  const { valueInfo, nodes } = model.graph;
  if (!valueInfo) return model;
  const needed = new Set(nodes.filter((n) => !findOperator(n.opType, n.domain)).flatMap((n) => n.outputs));
  const kept = new Map([...valueInfo].filter(([name]) => needed.has(name)));
  return kept.size === valueInfo.size ? model : { ...model, graph: { ...model.graph, valueInfo: kept.size > 0 ? kept : undefined } };
}

const holdsTensor = (v: ValueInfo): boolean => !v.proto?.type || v.proto.type.tensorType !== undefined;

const sameShape = (a: Shape, b: Shape | undefined): boolean => b !== undefined && a.length === b.length && a.every((d, i) => d === b[i]);

const withBatch = (shape: Shape | undefined, batch: number | undefined): Shape | undefined =>
  batch === undefined ? shape : shape?.map((d, i): Dim => (i === 0 && typeof d === 'string' ? batch : d));

/** Absurd lengths come from damaged files; nothing after this has to expect them. */
function requirePossible({ shape }: ValueType): void {
  let elements = 1;
  for (const d of shape ?? []) {
    if (typeof d !== 'number') continue;
    if (!Number.isSafeInteger(d) || d < 0) throw new UserError(`its result would have the shape [${shape!.join(', ')}]`, DAMAGED);
    elements *= d;
  }
  if (!(elements <= Number.MAX_SAFE_INTEGER))
    throw new UserError(`its result of shape [${shape!.join(', ')}] is too large for any machine`, DAMAGED);
}

const DAMAGED = 'The file is damaged, or was made for other inputs.';
