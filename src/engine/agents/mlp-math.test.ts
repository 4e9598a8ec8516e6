import { expect, test } from 'vitest';
import { Random } from '../random';
import { backward, forward } from './mlp-math';
import { Mlp, valueAndGradients } from './networks';
import { loadTensorBackend } from './tensor-backend';

const { tf } = await loadTensorBackend('js');

test('values and gradients are TensorFlow.js’s', () => {
  const random = new Random(1);
  const network = new Mlp([5, 7, 6, 2], random);
  const rows = 4;
  const input = Float32Array.from({ length: rows * 5 }, () => random.normal());
  const weights = Float32Array.from({ length: rows * 2 }, () => random.normal());

  const activations = forward(network, input, rows);
  const { parameters, input: inputGradient } = backward(network, activations, weights, rows);

  expect(backward(network, activations, weights, rows, { inputOnly: true }).input).toEqual(inputGradient);

  const close = (a: ArrayLike<number>, b: ArrayLike<number>): void => {
    expect(a.length).toBe(b.length);
    for (let i = 0; i < a.length; i++) expect(Math.abs(a[i] - b[i])).toBeLessThan(1e-5);
  };
  tf.tidy(() => {
    const x = tf.tensor2d(input, [rows, 5]);
    const w = tf.tensor2d(weights, [rows, 2]);
    close(activations[3], network.forward(tf, x).dataSync());
    // Σ output · weights has `weights` as its gradient by the output.
    const { gradients } = valueAndGradients(tf, network, (p) => tf.sum(tf.mul(network.forward(tf, x, p), w)));
    expect(parameters.length).toBe(gradients.length);
    parameters.forEach((g, i) => {
      close(g, gradients[i]);
    });
    close(
      inputGradient,
      tf
        .grad((v) => tf.sum(tf.mul(network.forward(tf, v as typeof x), w)))(x)
        .dataSync(),
    );
  });
});
