import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { Random } from '../random';
import { LstmPolicy } from './lstm';
import { valueAndGradients } from './networks';
import { loadTensorBackend } from './tensor-backend';

const { tf } = await loadTensorBackend('js');

/** PyTorch's own figures (test/fixtures/agents/make_lstm.py). */
interface Fixture {
  readonly inputs: number;
  readonly hidden: number;
  readonly choices: number;
  readonly parameters: number[][];
  readonly sequence: number[][];
  readonly taken: number[];
  readonly scores: number[][];
  readonly loss: number;
  readonly gradients: number[][];
}
const fixture = JSON.parse(readFileSync(join(__dirname, '../../../test/fixtures/agents/lstm.json'), 'utf8')) as Fixture;

function policy(): LstmPolicy {
  const network = new LstmPolicy(fixture.inputs, fixture.hidden, fixture.choices, new Random(1), { bidirectional: true });
  network.parameters.forEach((values, i) => {
    values.set(fixture.parameters[i]);
  });
  return network;
}

const close = (actual: ArrayLike<number>, expected: readonly number[], digits = 5): void => {
  expect(actual).toHaveLength(expected.length);
  expected.forEach((v, i) => {
    expect(actual[i]).toBeCloseTo(v, digits);
  });
};

test('step by step on plain arrays it scores as PyTorch does', () => {
  policy()
    .sequenceScores(fixture.sequence)
    .forEach((scores, t) => {
      close(scores, fixture.scores[t]);
    });
});

test('as a whole on TensorFlow.js it scores and differentiates as PyTorch does', () => {
  const network = policy();
  const { value, gradients } = valueAndGradients(tf, network, (parameters) => {
    const inputs = fixture.sequence.map((row) => tf.tensor2d([row]) as Tensor2D);
    const losses = network.forward(tf, inputs, parameters).map((scores, t) => {
      close(scores.dataSync(), fixture.scores[t]);
      return tf.neg(tf.gather(tf.reshape(tf.logSoftmax(scores), [-1]), fixture.taken[t]));
    });
    return losses.reduce((a, l) => tf.add(a, l));
  });
  expect(value).toBeCloseTo(fixture.loss, 4);
  gradients.forEach((g, i) => {
    close(g, fixture.gradients[i]);
  });
});

test('forwards, later inputs do not change earlier scores; in both directions they do', () => {
  const one = Array.from({ length: 4 }, (_, t) => [t / 4, 0.5]);
  const other = one.map((row, t) => (t === 3 ? [0, 0] : row));
  for (const bidirectional of [false, true]) {
    const network = new LstmPolicy(2, 8, 2, new Random(2), { bidirectional });
    const same = JSON.stringify(network.sequenceScores(one)[0]) === JSON.stringify(network.sequenceScores(other)[0]);
    expect(same).toBe(!bidirectional);
  }
});

test('it goes on from its state', () => {
  const network = policy();
  const other = new LstmPolicy(fixture.inputs, fixture.hidden, fixture.choices, new Random(9), { bidirectional: true });
  other.restore(JSON.parse(JSON.stringify(network.state())) as string[]);
  expect(other.sequenceScores(fixture.sequence)).toEqual(network.sequenceScores(fixture.sequence));
});
