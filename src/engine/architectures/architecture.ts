/** Networks that `espalier train` can make from nothing: one file each, one line in the registry below. */
import type { Model } from '../onnx/model';
import type { GraphBuilder, Value } from '../ops/builder';
import type { Random } from '../random';

export interface Architecture {
  readonly name: string;
  readonly description: string;
  /** Shape of one input sample. */
  readonly input: readonly number[];
  /** Builds the network with freshly drawn weights. */
  build(options: { classes: number; random: Random }): Model;
}

/**
 * Initial weights of a layer that sums `fanIn` numbers, one a call: uniform in ±1/√fanIn (PyTorch's default for convolutions and linear
 * layers: He et al. 2015 with a = √5).
 */
export function drawn(fanIn: number, random: Random): () => number {
  const bound = 1 / Math.sqrt(fanIn);
  return () => random.between(-bound, bound);
}

/** Weights and bias of one layer, as `drawn`. */
export function drawnParameters(b: GraphBuilder, name: string, shape: readonly number[], random: Random): { weight: Value; bias: Value } {
  const fanIn = shape.slice(1).reduce((a, d) => a * d, 1);
  const draw = (n: number): Float32Array => Float32Array.from({ length: n }, drawn(fanIn, random));
  return {
    weight: b.floats(`${name}.weight`, shape, draw(shape[0] * fanIn)),
    bias: b.floats(`${name}.bias`, [shape[0]], draw(shape[0])),
  };
}
