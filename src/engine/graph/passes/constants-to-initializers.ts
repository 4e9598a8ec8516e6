import { attr, type Model, type Node, withGraph } from '../../onnx/model';
import { elementCount, Tensor } from '../../onnx/tensor';
import { inferTypes } from '../infer';
import { transposedTensor } from './axis-order';
import { type Pass, readValues } from './pass';

/**
 * Makes initializers of what does not depend on the input:
 * 1. Constant nodes (tensor, number and list forms; sparse and string forms stay);
 * 2. weights that are reshaped before use (Reshape, Flatten, Squeeze, Unsqueeze and Transpose of an initializer);
 * 3. values that follow from shapes alone, as far as type inference computes them.
 * Graph outputs stay nodes.
 */
export const constantsToInitializers: Pass = (model) => {
  const outputs = new Set(model.graph.outputs.map((o) => o.name));
  const read = new Set([...model.graph.nodes.flatMap(readValues)]);
  const initializers = new Map(model.graph.initializers);
  const types = inferTypes(model).types;
  const nodes = model.graph.nodes.filter((node) => {
    if (node.outputs.some((o) => outputs.has(o))) return true;
    const [output] = node.outputs;
    const tensor =
      constantOf(node) ?? rearranged(node, initializers, types.get(output)?.shape) ?? folded(node, model, types.get(output)?.value);
    if (!tensor || node.outputs.slice(1).some((o) => read.has(o))) return true;
    initializers.set(output, tensor.renamed(output));
    return false;
  });
  if (nodes.length === model.graph.nodes.length) return { model, modified: false };
  return { model: withGraph(model, { nodes, initializers }), modified: true };
};

/** Case 1. */
function constantOf(node: Node): Tensor | undefined {
  if (node.opType !== 'Constant' || node.domain !== '') return undefined;
  const [output] = node.outputs;
  const has = (name: string): boolean => node.attributes.has(name);
  if (has('value')) return attr.tensor(node, 'value');
  if (has('value_float')) return Tensor.scalar(output, attr.float(node, 'value_float', 0));
  if (has('value_int')) return Tensor.int64(output, [], [attr.int(node, 'value_int', 0)]);
  if (has('value_ints')) return Tensor.ints(output, attr.ints(node, 'value_ints') ?? []);
  const floats = has('value_floats') ? (attr.floats(node, 'value_floats') ?? []) : undefined;
  return floats && Tensor.float32(output, [floats.length], Float32Array.from(floats));
}

/** Case 2: nothing but the arrangement of an initializer changes. */
function rearranged(
  node: Node,
  initializers: ReadonlyMap<string, Tensor>,
  shape: readonly (number | string)[] | undefined,
): Tensor | undefined {
  const tensor = initializers.get(node.inputs[0] ?? '');
  if (!tensor || tensor.type === 'string' || node.domain !== '') return undefined;
  if (node.opType === 'Transpose') {
    const perm = attr.ints(node, 'perm') ?? tensor.dims.map((_, i) => tensor.dims.length - 1 - i);
    return tensor.size === 0 || tensor.bytes.byteLength % tensor.size !== 0 ? undefined : transposedTensor(tensor, perm);
  }
  if (!['Reshape', 'Flatten', 'Squeeze', 'Unsqueeze'].includes(node.opType)) return undefined;
  if (!shape?.every((d): d is number => typeof d === 'number') || elementCount(shape) !== tensor.size) return undefined;
  return tensor.reshaped(shape);
}

/** Case 3. Float results stay nodes unless they are small, so that files do not grow. */
function folded(node: Node, model: Model, value: Tensor | undefined): Tensor | undefined {
  if (!value || node.outputs.length > 1 || model.graph.initializers.has(node.outputs[0])) return undefined;
  return value.size <= 4096 ? value : undefined;
}
