/** A layer whose weights were quantised: which weight, along which axis, and its codes. */
import type { Layer } from '../graph/layers';
import { type Model, withGraph } from '../onnx/model';
import { Tensor } from '../onnx/tensor';
import type { WeightQuantizer } from '../training/fake-quantization';
import { dequantize, type QuantizedWeights, quantizeWeights, quantizeWithScales } from './quantizers';

export interface QuantizedLayer {
  readonly layer: Layer;
  readonly weights: QuantizedWeights;
}

/** Where weights are zero: what pruning masked stays zero at every bit-width. undefined where no weight is. */
export function zeroMask(weights: Float32Array): Float32Array | undefined {
  return weights.includes(0) ? Float32Array.from(weights, (w) => (w === 0 ? 0 : 1)) : undefined;
}

/** Quantises one layer's weight of a model at 1 to 8 bits. */
export function quantizeLayer(model: Model, layer: Layer, bits: number): QuantizedLayer {
  const tensor = model.graph.initializers.get(layer.weight)!;
  const weights = tensor.floats();
  return { layer, weights: quantizeWeights(weights, tensor.dims, layer.outAxis, bits, zeroMask(weights)) };
}

/** The model with these layers' weights replaced by their dequantised values: float arithmetic, the quantised net's answers. */
export function withDequantizedWeights(model: Model, layers: readonly QuantizedLayer[]): Model {
  const initializers = new Map(model.graph.initializers);
  for (const { layer, weights } of layers) {
    const { dims } = initializers.get(layer.weight)!;
    initializers.set(layer.weight, Tensor.float32(layer.weight, dims, dequantize(weights, dims, layer.outAxis)));
  }
  return withGraph(model, { initializers });
}

/** The same layers as the trainer takes them: bits, axis and scales by weight. */
export function quantizersOf(layers: readonly QuantizedLayer[]): Map<string, WeightQuantizer> {
  return new Map(layers.map(({ layer, weights }) => [layer.weight, { bits: weights.bits, axis: layer.outAxis, scales: weights.scales }]));
}

/** Codes of a model whose weights were fine-tuned to lie on these scales. */
export function requantize(model: Model, layers: readonly QuantizedLayer[]): QuantizedLayer[] {
  return layers.map(({ layer, weights }) => {
    const tensor = model.graph.initializers.get(layer.weight)!;
    return { layer, weights: quantizeWithScales(tensor.floats(), tensor.dims, layer.outAxis, weights.bits, weights.scales) };
  });
}
