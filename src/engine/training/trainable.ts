/** Which initializers of a model are its weights. */
import type { Model, Node } from '../onnx/model';
import { elementCount, type Tensor } from '../onnx/tensor';

/** Inputs of an operator that hold weights. Everything else (limits of a Clip, pads, scales of a Resize…) is a constant. */
const WEIGHT_INPUTS: Readonly<Record<string, readonly number[]>> = {
  Conv: [1, 2],
  ConvTranspose: [1, 2],
  Gemm: [0, 1, 2],
  MatMul: [0, 1],
  Einsum: [0, 1, 2],
  BatchNormalization: [1, 2],
  InstanceNormalization: [1, 2],
  LayerNormalization: [1, 2],
  RMSNormalization: [1],
  SimplifiedLayerNormalization: [1],
  GroupNormalization: [1, 2],
  SkipLayerNormalization: [1, 2, 3, 4],
  PRelu: [1],
  LSTM: [1, 2, 3, 7],
  GRU: [1, 2, 3],
  RNN: [1, 2, 3],
  Gather: [0],
};

/** A bias or a layer scale stands alone in the graph; a single number (√2 of a GELU, a temperature) is part of a formula. */
const ELEMENTWISE = new Set(['Add', 'Mul']);

/** Exporters put a layout change between a weight and its use. */
const LAYOUT = new Set(['Identity', 'Reshape', 'Transpose', 'Squeeze', 'Unsqueeze']);

/**
 * Float32 initializers that nodes use as weights, in the order of their first use. Running statistics of BatchNormalization are none.
 * @param filter keeps a weight from being trained by returning false
 */
export function trainableParameters(model: Model, filter: (name: string, tensor: Tensor) => boolean = () => true): Map<string, Tensor> {
  const consumers = new Map<string, Array<{ node: Node; input: number }>>();
  for (const node of model.graph.nodes) {
    node.inputs.forEach((name, input) => {
      const list = consumers.get(name);
      if (list) list.push({ node, input });
      else consumers.set(name, [{ node, input }]);
    });
  }
  const isWeight = (name: string, size: number): boolean =>
    (consumers.get(name) ?? []).some(({ node, input }) => {
      if (node.domain !== '') return false;
      if (WEIGHT_INPUTS[node.opType]?.includes(input)) return true;
      if (ELEMENTWISE.has(node.opType)) return size > 1;
      return LAYOUT.has(node.opType) && input === 0 && isWeight(node.outputs[0], size);
    });
  const found = new Map<string, Tensor>();
  for (const node of model.graph.nodes) {
    for (const name of node.inputs) {
      const tensor = model.graph.initializers.get(name);
      if (tensor?.type !== 'float32' || found.has(name)) continue;
      if (isWeight(name, elementCount(tensor.dims)) && filter(name, tensor)) found.set(name, tensor);
    }
  }
  return found;
}
