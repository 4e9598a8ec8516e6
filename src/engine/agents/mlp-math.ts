/**
 * Forward and backward passes of an `Mlp` on plain arrays. For networks of a few hundred units this is several times faster than
 * TensorFlow.js in pure JavaScript, and gives the same bits on every backend.
 */
import type { Mlp } from './networks';

/** Values before each layer and after the last: [rows, sizes[i]], row by row; hidden ones after their ReLU. */
export type Activations = readonly Float32Array[];

/** @param input [rows, sizes[0]], row by row */
export function forward({ sizes, parameters }: Mlp, input: Float32Array, rows: number): Activations {
  const values = [input];
  for (let layer = 0; layer + 1 < sizes.length; layer++) {
    const [inputs, outputs] = [sizes[layer], sizes[layer + 1]];
    const output = new Float32Array(rows * outputs);
    const bias = parameters[2 * layer + 1];
    for (let r = 0; r < rows; r++) output.set(bias, r * outputs);
    addProduct(output, values[layer], parameters[2 * layer], rows, inputs, outputs);
    if (layer + 2 < sizes.length) for (let i = 0; i < output.length; i++) if (output[i] < 0) output[i] = 0;
    values.push(output);
  }
  return values;
}

/** What comes out of the last layer: [rows, last size]. */
export const outputOf = (activations: Activations): Float32Array => activations[activations.length - 1];

/** Rows of equal width as one array. */
export function packed(rows: ReadonlyArray<readonly number[]>, width: number): Float32Array {
  const values = new Float32Array(rows.length * width);
  rows.forEach((row, i) => {
    values.set(row, i * width);
  });
  return values;
}

export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

export interface Gradients {
  /** Of the loss by each parameter, in the order of `Mlp.parameters`. */
  readonly parameters: Float32Array[];
  /** Of the loss by the input: [rows, sizes[0]]. */
  readonly input: Float32Array;
}

/**
 * @param outputGradient of the loss by the output: [rows, last size]
 * @param inputOnly leaves the parameters' gradients at zero, which saves half of the work
 */
export function backward(
  { sizes, parameters }: Mlp,
  activations: Activations,
  outputGradient: Float32Array,
  rows: number,
  { inputOnly = false } = {},
): Gradients {
  const gradients = parameters.map((p) => new Float32Array(p.length));
  let gradient = outputGradient;
  for (let layer = sizes.length - 2; layer >= 0; layer--) {
    const [inputs, outputs] = [sizes[layer], sizes[layer + 1]];
    const before = activations[layer];
    if (!inputOnly) {
      const bias = gradients[2 * layer + 1];
      for (let r = 0; r < rows; r++) for (let j = 0; j < outputs; j++) bias[j] += gradient[r * outputs + j];
      addOuterProducts(gradients[2 * layer], before, gradient, rows, inputs, outputs);
    }
    const next = new Float32Array(rows * inputs);
    const kernel = parameters[2 * layer];
    for (let r = 0; r < rows; r++) {
      for (let i = 0; i < inputs; i++) {
        // Behind a ReLU nothing flows where it cut; the network's own input has none.
        if (layer > 0 && before[r * inputs + i] <= 0) continue;
        let sum = 0;
        for (let j = 0, k = i * outputs, g = r * outputs; j < outputs; j++) sum += kernel[k + j] * gradient[g + j];
        next[r * inputs + i] = sum;
      }
    }
    gradient = next;
  }
  return { parameters: gradients, input: gradient };
}

/** output [rows, outputs] += input [rows, inputs] · kernel [inputs, outputs] */
function addProduct(output: Float32Array, input: Float32Array, kernel: Float32Array, rows: number, inputs: number, outputs: number): void {
  for (let r = 0; r < rows; r++) {
    const to = r * outputs;
    for (let i = 0; i < inputs; i++) {
      const value = input[r * inputs + i];
      if (value === 0) continue;
      for (let j = 0, k = i * outputs; j < outputs; j++) output[to + j] += value * kernel[k + j];
    }
  }
}

/** kernelGradient [inputs, outputs] += inputᵀ · gradient */
function addOuterProducts(
  kernelGradient: Float32Array,
  input: Float32Array,
  gradient: Float32Array,
  rows: number,
  inputs: number,
  outputs: number,
): void {
  for (let r = 0; r < rows; r++) {
    const from = r * outputs;
    for (let i = 0; i < inputs; i++) {
      const value = input[r * inputs + i];
      if (value === 0) continue;
      for (let j = 0, k = i * outputs; j < outputs; j++) kernelGradient[k + j] += value * gradient[from + j];
    }
  }
}
