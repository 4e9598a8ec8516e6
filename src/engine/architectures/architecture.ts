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
 * Weights and bias of one layer, drawn uniformly from ±1/√fanIn (PyTorch's default for convolutions and linear layers:
 * He et al. 2015 with a = √5).
 */
export function drawnParameters(b: GraphBuilder, name: string, shape: readonly number[], random: Random): { weight: Value; bias: Value } {
  const fanIn = shape.slice(1).reduce((a, d) => a * d, 1);
  const bound = 1 / Math.sqrt(fanIn);
  const draw = (n: number): Float32Array => Float32Array.from({ length: n }, () => random.between(-bound, bound));
  return {
    weight: b.floats(`${name}.weight`, shape, draw(shape[0] * fanIn)),
    bias: b.floats(`${name}.bias`, [shape[0]], draw(shape[0])),
  };
}
