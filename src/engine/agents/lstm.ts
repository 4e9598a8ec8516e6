/**
 * A recurrent policy network: an LSTM over the steps of a sequence (Hochreiter, Schmidhuber 1997; gates as in Gers et al. 2000), forwards or
 * in both directions, and a linear layer that scores the choices of each step. It is run step by step on plain arrays where an agent acts,
 * and as a whole on TensorFlow.js where it learns.
 */
import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import type { Random } from '../random';
import { decodeFloats, encodeFloats } from './float-codec';
import type { Tf } from './tensor-backend';

/** What an LSTM remembers between two steps: [hidden] each. */
export interface CellState {
  readonly output: Float64Array;
  readonly memory: Float64Array;
}

/** Numbers of one direction: kernel [inputs + hidden, 4·hidden] and bias [4·hidden]; gates in the order input, forget, candidate, output. */
const KERNEL = 0;
const BIAS = 1;
const FORGET = 1;

export class LstmPolicy {
  /** One direction after the other, then the scoring layer: kernel [directions·hidden, choices] and bias [choices]. */
  readonly parameters: Float32Array[];
  readonly shapes: ReadonlyArray<readonly number[]>;
  private readonly directions: number;

  /**
   * @param random draws the initial weights: uniform in ±1/√hidden, the scoring layer near zero, so that every choice begins alike; the
   *   forget gate's bias is 1 (Gers et al. 2000: what is not forgotten at first can be learned from).
   */
  constructor(
    readonly inputs: number,
    readonly hidden: number,
    readonly choices: number,
    random: Random,
    { bidirectional = false } = {},
  ) {
    this.directions = bidirectional ? 2 : 1;
    const limit = 1 / Math.sqrt(hidden);
    const drawn = (shape: readonly number[], most: number): Float32Array =>
      Float32Array.from({ length: shape.reduce((a, d) => a * d, 1) }, () => random.between(-most, most));
    const shapes: Array<readonly number[]> = [];
    this.parameters = [];
    for (let d = 0; d < this.directions; d++) {
      shapes.push([inputs + hidden, 4 * hidden], [4 * hidden]);
      const bias = new Float32Array(4 * hidden).fill(1, FORGET * hidden, (FORGET + 1) * hidden);
      this.parameters.push(drawn(shapes[shapes.length - 2], limit), bias);
    }
    shapes.push([this.directions * hidden, choices], [choices]);
    this.parameters.push(drawn(shapes[shapes.length - 2], 3e-3), new Float32Array(choices));
    this.shapes = shapes;
  }

  get bidirectional(): boolean {
    return this.directions === 2;
  }

  start(): CellState {
    return { output: new Float64Array(this.hidden), memory: new Float64Array(this.hidden) };
  }

  /** One step of one direction (0 forwards, 1 backwards). @param input [inputs] */
  step({ output, memory }: CellState, input: readonly number[], direction = 0): CellState {
    const { hidden } = this;
    const kernel = this.parameters[2 * direction + KERNEL];
    const gates = Float64Array.from(this.parameters[2 * direction + BIAS]);
    const add = (value: number, row: number): void => {
      if (value !== 0) for (let j = 0; j < 4 * hidden; j++) gates[j] += value * kernel[row * 4 * hidden + j];
    };
    input.forEach(add);
    output.forEach((value, i) => {
      add(value, this.inputs + i);
    });
    const next = { output: new Float64Array(hidden), memory: new Float64Array(hidden) };
    for (let j = 0; j < hidden; j++) {
      const [i, f, g, o] = [gates[j], gates[hidden + j], gates[2 * hidden + j], gates[3 * hidden + j]];
      next.memory[j] = sigmoid(f) * memory[j] + sigmoid(i) * Math.tanh(g);
      next.output[j] = sigmoid(o) * Math.tanh(next.memory[j]);
    }
    return next;
  }

  /** Scores of the choices of one step. @param outputs of each direction at it */
  scores(outputs: readonly Float64Array[]): number[] {
    const [kernel, bias] = this.parameters.slice(-2);
    return Array.from(bias, (b, k) =>
      outputs.reduce((sum, own, d) => own.reduce((s, value, i) => s + value * kernel[(d * this.hidden + i) * this.choices + k], sum), b),
    );
  }

  /** Scores of every step of a whole sequence. @param inputs [steps][inputs] */
  sequenceScores(inputs: ReadonlyArray<readonly number[]>): number[][] {
    const run = (order: readonly number[], direction: number): Float64Array[] => {
      const outputs: Float64Array[] = [];
      let state = this.start();
      for (const t of order) {
        state = this.step(state, inputs[t], direction);
        outputs[t] = state.output;
      }
      return outputs;
    };
    const steps = [...inputs.keys()];
    const directions = [run(steps, 0), ...(this.bidirectional ? [run([...steps].reverse(), 1)] : [])];
    return steps.map((t) => this.scores(directions.map((outputs) => outputs[t])));
  }

  /** The parameters as tensors; call inside `tf.tidy`. */
  tensors(tf: Tf): Tensor[] {
    // Copies: the pure JavaScript backend keeps the array it is given, and the optimiser writes into ours.
    return this.parameters.map((values, i) => tf.tensor(values.slice(), [...this.shapes[i]]));
  }

  /** Scores [batch, choices] of each step. Differentiable in the parameters. @param inputs one [batch, inputs] for each step */
  forward(tf: Tf, inputs: readonly Tensor2D[], parameters: readonly Tensor[]): Tensor2D[] {
    const run = (order: readonly number[], direction: number): Tensor2D[] => {
      const [kernel, bias] = parameters.slice(2 * direction) as [Tensor2D, Tensor];
      const outputs: Tensor2D[] = [];
      let output: Tensor2D = tf.zeros([inputs[0].shape[0], this.hidden]);
      let memory: Tensor2D = tf.zeros([inputs[0].shape[0], this.hidden]);
      for (const t of order) {
        const gates = tf.add(tf.matMul(tf.concat([inputs[t], output], 1), kernel), bias);
        const [i, f, g, o] = tf.split(gates, 4, 1) as Tensor2D[];
        memory = tf.add(tf.mul(tf.sigmoid(f), memory), tf.mul(tf.sigmoid(i), tf.tanh(g)));
        output = tf.mul(tf.sigmoid(o), tf.tanh(memory));
        outputs[t] = output;
      }
      return outputs;
    };
    const steps = [...inputs.keys()];
    const directions = [run(steps, 0), ...(this.bidirectional ? [run([...steps].reverse(), 1)] : [])];
    const [kernel, bias] = parameters.slice(-2) as [Tensor2D, Tensor];
    return steps.map((t) => {
      const outputs = directions.map((d) => d[t]);
      return tf.add(tf.matMul(outputs.length > 1 ? tf.concat(outputs, 1) : outputs[0], kernel), bias);
    });
  }

  state(): string[] {
    return this.parameters.map(encodeFloats);
  }

  restore(state: readonly string[]): void {
    this.parameters.forEach((values, i) => {
      values.set(decodeFloats(state[i], values.length));
    });
  }
}

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
