/** Masks on single weights: chosen by magnitude, and put on a model. 1 where a weight stays, 0 where it is held at zero. */
import { quantizableLayers } from '../graph/layers';
import { type Model, withGraph } from '../onnx/model';
import { Tensor } from '../onnx/tensor';

/**
 * The mask that takes the weights of smallest magnitude.
 * @param sparsity share of the weights that go, in [0, 1); one weight always stays, as a layer without any would cut the network in two.
 *   Equal magnitudes go in the order of the weights, so the same input gives the same mask.
 */
export function magnitudeMask(weights: Float32Array, sparsity: number): Float32Array {
  if (!(sparsity >= 0 && sparsity < 1)) throw new RangeError(`the share to remove must be in [0, 1), not ${sparsity}`);
  const mask = new Float32Array(weights.length).fill(1);
  const count = Math.min(weights.length - 1, Math.round(sparsity * weights.length));
  if (count === 0) return mask;
  const order = Uint32Array.from(weights.keys()).sort((a, b) => Math.abs(weights[a]) - Math.abs(weights[b]) || a - b);
  for (const i of order.subarray(0, count)) mask[i] = 0;
  return mask;
}

/**
 * Share of weights with |w| < α·σ, σ the standard deviation of the layer's weights; below 1, as one weight always stays.
 * @param alpha 0 or more
 */
export function sparsityBelow(weights: Float32Array, alpha: number): number {
  const mean = weights.reduce((sum, w) => sum + w, 0) / weights.length;
  const sigma = Math.sqrt(weights.reduce((sum, w) => sum + (w - mean) ** 2, 0) / weights.length);
  const below = weights.reduce((count, w) => count + (Math.abs(w) < alpha * sigma ? 1 : 0), 0);
  return Math.min(below, weights.length - 1) / weights.length;
}

/** Weights times their masks, exactly zero where they were taken. @param masks by initializer name */
export function applyMasks(model: Model, masks: ReadonlyMap<string, Float32Array>): Model {
  const initializers = new Map(model.graph.initializers);
  for (const [name, mask] of masks) {
    const tensor = initializers.get(name)!;
    const values = tensor.floats();
    if (mask.length !== values.length)
      throw new RangeError(`the mask of '${name}' has ${mask.length} values where ${values.length} belong`);
    initializers.set(
      name,
      Tensor.float32(
        name,
        tensor.dims,
        values.map((v, i) => (mask[i] === 0 ? 0 : v)),
      ),
    );
  }
  return withGraph(model, { initializers });
}

/** Masks that hold every exact zero of the layers' weights: what was masked stays so in later fine-tuning. */
export function heldZeros(model: Model): Map<string, Float32Array> {
  const masks = new Map<string, Float32Array>();
  for (const layer of quantizableLayers(model)) {
    const weights = model.graph.initializers.get(layer.weight)!.floats();
    if (weights.includes(0))
      masks.set(
        layer.weight,
        Float32Array.from(weights, (w) => (w === 0 ? 0 : 1)),
      );
  }
  return masks;
}
