/** A model with its batch fixed to a length, as graphs of training steps need it. */
import { UserError } from '../errors';
import { type Model, type Node, type ValueInfo, withGraph } from '../onnx/model';
import { Tensor } from '../onnx/tensor';

/** The model's single input with the batch fixed. @throws UserError where there is not exactly one, or its lengths are not known */
export function batchedInput(model: Model, batch: number): { info: ValueInfo; shape: readonly number[] } {
  const { inputs } = model.graph;
  if (inputs.length !== 1)
    throw new UserError(`the model has ${inputs.length} inputs (${inputs.map((i) => i.name).join(', ')}); training needs exactly one`);
  const [info] = inputs;
  const rest = info.shape?.slice(1);
  if (!rest || rest.some((d) => typeof d !== 'number')) {
    throw new UserError(
      `input '${info.name}' has the shape [${info.shape?.map((d) => d || '?').join(', ') ?? '?'}]; training needs every length but the batch`,
      'Export the model with fixed input sizes.',
    );
  }
  return { info, shape: [batch, ...(rest as number[])] };
}

/**
 * Files exported for a fixed batch write it into the targets of their Reshapes as well; there it is replaced by the wanted one.
 * Only Reshapes of what is computed from the input are meant: weights have no batch.
 */
export function withBatch(model: Model, batch: number): Model {
  const [input] = model.graph.inputs;
  const stated = input?.shape?.[0];
  if (typeof stated !== 'number' || stated === batch) return model;
  const initializers = new Map(model.graph.initializers);
  const fromInput = new Set([input.name]);
  const nodes = model.graph.nodes.map((node): Node => {
    if (!node.inputs.some((i) => fromInput.has(i))) return node;
    for (const o of node.outputs) fromInput.add(o);
    const target = node.opType === 'Reshape' && fromInput.has(node.inputs[0]) ? initializers.get(node.inputs[1]) : undefined;
    const [first, ...rest] = target?.numbers() ?? [];
    if (!target || first !== stated) return node;
    const name = `${target.name} for ${batch}`;
    initializers.set(name, Tensor.ints(name, [batch, ...rest]));
    return { ...node, inputs: [node.inputs[0], name] };
  });
  return withGraph(model, { nodes, initializers });
}
