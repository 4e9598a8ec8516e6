/** A network with all it has learned taken back: the same layers, weights drawn anew. */

import { drawn } from '../architectures/architecture';
import { attr, type Model, type Node, withGraph } from '../onnx/model';
import { Tensor } from '../onnx/tensor';
import type { Random } from '../random';
import { trainableParameters } from './trainable';

/** Inputs of BatchNormalization and what they hold before any training. */
const NORMALIZATION: readonly (readonly [input: number, value: number])[] = [
  [1, 1],
  [2, 0],
  [3, 0],
  [4, 1],
];

/**
 * Weights and biases are `drawn` as those of networks made from nothing; batch normalisation gets scale 1, bias 0, mean 0, variance 1.
 * @throws Error where an operator other than Conv, Gemm, MatMul, BatchNormalization and an added bias holds weights
 */
export function withInitialWeights(model: Model, random: Random): Model {
  const { nodes } = model.graph;
  const initializers = new Map(model.graph.initializers);
  const open = new Set(trainableParameters(model).keys());
  const put = (name: string | undefined, value: () => number): void => {
    const old = name ? initializers.get(name) : undefined;
    if (!name || !old) return;
    initializers.set(name, Tensor.float32(name, old.dims, Float32Array.from({ length: old.floats().length }, value)));
    open.delete(name);
  };
  /** As the layer's own, which a bias that is added behind it shares. */
  let draw = (): number => 0;
  for (const node of nodes) {
    if (node.opType === 'BatchNormalization') for (const [input, value] of NORMALIZATION) put(node.inputs[input], () => value);
    const weight = node.inputs[1];
    const dims = weight ? initializers.get(weight)?.dims : undefined;
    if (dims && ['Conv', 'Gemm', 'MatMul'].includes(node.opType) && open.has(weight)) {
      draw = drawn(fanIn(node, dims), random);
      put(weight, draw);
      put(node.inputs[2], draw);
    } else if (node.opType === 'Add') for (const name of node.inputs) if (open.has(name)) put(name, draw);
  }
  const [left] = open;
  if (left !== undefined) throw new Error(`the weights '${left}' are of an operator that this does not draw anew`);
  return withGraph(model, { initializers });
}

/** Numbers that each output is the sum of. @param dims of the weights: [out, in/groups, …kernel], or [in, out] where the operator multiplies so */
function fanIn(node: Node, dims: readonly number[]): number {
  const product = (of: readonly number[]): number => of.reduce((a, d) => a * d, 1);
  if (node.opType === 'MatMul' || (node.opType === 'Gemm' && attr.int(node, 'transB', 0) === 0)) return dims[dims.length - 2];
  return product(dims.slice(1));
}
