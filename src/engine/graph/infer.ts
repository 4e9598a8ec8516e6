/** Types and shapes of every value of a model, by walking the graph once in order. */
import { UserError } from '../errors';
import { type Dim, type Model, type Node, opsetOf, type Shape } from '../onnx/model';
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
  for (const t of model.graph.initializers.values()) types.set(t.name, { type: t.type, shape: t.dims, value: t });
  for (const input of model.graph.inputs) {
    const stated = options.inputShapes?.[input.name] ?? input.shape;
    const shape =
      options.batch === undefined ? stated : stated?.map((d, i): Dim => (i === 0 && typeof d === 'string' ? options.batch! : d));
    types.set(input.name, { type: input.type, shape });
  }
  const unknownOperators: Array<{ node: Node; reason: string }> = [];
  const opset = opsetOf(model);
  for (const node of model.graph.nodes) {
    const operator = findOperator(node.opType, node.domain);
    if (!operator) {
      const qualified = node.domain ? `${node.domain}.${node.opType}` : node.opType;
      unknownOperators.push({
        node,
        reason: `operator ${qualified} (node '${node.name || node.outputs[0]}') is not known; it is carried through untouched`,
      });
      continue;
    }
    const inputs = node.inputs.map((name) => (name === '' ? undefined : (types.get(name) ?? { type: 'float32' as const })));
    let outputs: ValueType[];
    try {
      outputs = operator.infer({ node, opset, inputs });
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
