/** A model with its batch fixed to a length, as graphs of training steps need it. */
import { UserError } from '../errors';
import { type Model, type Node, type ValueInfo, withGraph } from '../onnx/model';
import { elementCount, Tensor } from '../onnx/tensor';
import type { SampleLayout } from '../runtime/feeds';

/** An input with the batch fixed. */
export interface BatchedInput {
  readonly info: ValueInfo;
  /** The batch included. */
  readonly shape: readonly number[];
}

/** The model's inputs with the batch fixed. @throws UserError where there is none, or lengths are not known */
export function batchedInputs(model: Model, batch: number): BatchedInput[] {
  const { inputs } = model.graph;
  if (inputs.length === 0) throw new UserError('the model has no input, so it cannot be trained');
  return inputs.map((info) => batchedInput(info, batch));
}

/** How the rows of a batch hold the values of these inputs: in their order. */
export function layoutOf(inputs: readonly BatchedInput[]): SampleLayout {
  if (inputs.length === 1) return { shape: inputs[0].shape.slice(1) };
  const fields = inputs.map(({ info, shape }) => ({ name: info.name, shape: shape.slice(1) }));
  return { shape: [fields.reduce((sum, f) => sum + elementCount(f.shape), 0)], fields };
}

function batchedInput(info: ValueInfo, batch: number): BatchedInput {
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
 * Only Reshapes of what is computed from the inputs are meant: weights have no batch.
 */
export function withBatch(model: Model, batch: number): Model {
  const { inputs } = model.graph;
  const stated = inputs.map((i) => i.shape?.[0]).find((d) => typeof d === 'number');
  if (typeof stated !== 'number' || stated === batch) return model;
  const initializers = new Map(model.graph.initializers);
  const fromInput = new Set(inputs.map((i) => i.name));
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
