import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import type { Random } from '../random';
import { decodeFloats, encodeFloats } from './float-codec';
import type { Tf } from './tensor-backend';

/**
 * A multi-layer perceptron with ReLU between its layers and a linear output.
 * Its numbers live in plain Float32Arrays, kernel [in, out] and bias [out] in turn, and become tensors only for a computation:
 * so optimisers, slow targets and checkpoints are the same bits on every backend, and no tensor outlives a `tidy`.
 */
export class Mlp {
  readonly sizes: readonly number[];
  readonly shapes: readonly (readonly [number, number] | readonly [number])[];
  readonly parameters: Float32Array[];

  /**
   * @param sizes numbers of units, input and output included: [in, hidden…, out]
   * @param random draws the initial weights: uniform in ±1/√in, the output layer in ±`outputScale` (Lillicrap et al. 2016, section 7).
   */
  constructor(sizes: readonly number[], random: Random, { outputScale }: { outputScale?: number } = {}) {
    this.sizes = sizes;
    const shapes: (readonly [number, number] | readonly [number])[] = [];
    this.parameters = [];
    for (let layer = 1; layer < sizes.length; layer++) {
      const inputs = sizes[layer - 1];
      const outputs = sizes[layer];
      const limit = (layer === sizes.length - 1 ? outputScale : undefined) ?? 1 / Math.sqrt(inputs);
      shapes.push([inputs, outputs], [outputs]);
      this.parameters.push(
        Float32Array.from({ length: inputs * outputs }, () => random.between(-limit, limit)),
        Float32Array.from({ length: outputs }, () => random.between(-limit, limit)),
      );
    }
    this.shapes = shapes;
  }

  /** A network of the same shape and values that changes on its own: the slow target of this one. */
  copy(): Mlp {
    const other = Object.create(Mlp.prototype) as { -readonly [K in keyof Mlp]: Mlp[K] };
    other.sizes = this.sizes;
    other.shapes = this.shapes;
    other.parameters = this.parameters.map((values) => values.slice());
    return other as Mlp;
  }

  /** The parameters as tensors; call inside `tf.tidy`. */
  tensors(tf: Tf): Tensor[] {
    // Copies: the pure JavaScript backend keeps the array it is given, and the optimiser writes into ours.
    return this.parameters.map((values, i) => tf.tensor(values.slice(), [...this.shapes[i]]));
  }

  /** [batch, in] → [batch, out], with the parameters given (default: this network's own). Differentiable in both. */
  forward(tf: Tf, input: Tensor2D, parameters: readonly Tensor[] = this.tensors(tf)): Tensor2D {
    let value = input;
    for (let i = 0; i < parameters.length; i += 2) {
      value = tf.add(tf.matMul(value, parameters[i] as Tensor2D), parameters[i + 1]);
      if (i + 2 < parameters.length) value = tf.relu(value);
    }
    return value;
  }

  /** θ' ← τ·θ + (1 − τ)·θ', this network being θ' (Polyak averaging). */
  moveTowards(source: Mlp, tau: number): void {
    this.parameters.forEach((target, i) => {
      const values = source.parameters[i];
      for (let j = 0; j < target.length; j++) target[j] = tau * values[j] + (1 - tau) * target[j];
    });
  }

  state(): string[] {
    return this.parameters.map(encodeFloats);
  }

  restore(state: readonly string[]): void {
    restoreFloats(this.parameters, state);
  }
}

/** The value of a scalar loss and its gradient by each parameter, as plain arrays. */
export function valueAndGradients(
  tf: Tf,
  network: { tensors(tf: Tf): Tensor[] },
  loss: (parameters: Tensor[]) => Tensor,
): { value: number; gradients: Float32Array[] } {
  return tf.tidy(() => {
    const { value, grads } = tf.valueAndGrads((...parameters: Tensor[]) => loss(parameters))(network.tensors(tf));
    return { value: value.dataSync()[0], gradients: grads.map((gradient) => gradient.dataSync() as Float32Array) };
  });
}

/** Adam (Kingma, Ba 2015, algorithm 1), in place on plain arrays: moments in float32, arithmetic in float64. */
export class Adam {
  private readonly mean: Float32Array[];
  private readonly square: Float32Array[];
  private steps = 0;

  constructor(
    private readonly parameters: readonly Float32Array[],
    readonly learningRate: number,
    private readonly beta1 = 0.9,
    private readonly beta2 = 0.999,
    private readonly epsilon = 1e-8,
  ) {
    this.mean = parameters.map((values) => new Float32Array(values.length));
    this.square = parameters.map((values) => new Float32Array(values.length));
  }

  /** One step against the gradient. */
  step(gradients: readonly Float32Array[]): void {
    this.steps++;
    const correction1 = 1 - this.beta1 ** this.steps;
    const correction2 = 1 - this.beta2 ** this.steps;
    this.parameters.forEach((values, i) => {
      const gradient = gradients[i];
      const mean = this.mean[i];
      const square = this.square[i];
      for (let j = 0; j < values.length; j++) {
        const g = gradient[j];
        mean[j] = this.beta1 * mean[j] + (1 - this.beta1) * g;
        square[j] = this.beta2 * square[j] + (1 - this.beta2) * g * g;
        values[j] -= (this.learningRate * (mean[j] / correction1)) / (Math.sqrt(square[j] / correction2) + this.epsilon);
      }
    });
  }

  state(): AdamState {
    return { mean: this.mean.map(encodeFloats), square: this.square.map(encodeFloats), steps: this.steps };
  }

  restore(state: AdamState): void {
    restoreFloats(this.mean, state.mean);
    restoreFloats(this.square, state.square);
    this.steps = state.steps;
  }
}

export interface AdamState {
  readonly mean: readonly string[];
  readonly square: readonly string[];
  readonly steps: number;
}

function restoreFloats(arrays: readonly Float32Array[], encoded: readonly string[]): void {
  arrays.forEach((values, i) => {
    values.set(decodeFloats(encoded[i], values.length));
  });
}
