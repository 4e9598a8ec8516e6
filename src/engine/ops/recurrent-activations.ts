/** The activations inside recurrent operators, as nodes of a training graph, each with its derivative told from its own result. */
import { UserError } from '../errors';
import { attr, type Node } from '../onnx/model';
import type { GraphBuilder, Value } from './builder';
import { binary } from './emit';

/** A value with its way back: the gradient by what it was made from. */
export interface Activated {
  readonly value: Value;
  backward(gradient: Value): Value;
}

export type Activation = (b: GraphBuilder, x: Value) => Activated;

interface Formula {
  /** Defaults of activation_alpha and activation_beta, where the activation takes them. */
  readonly alpha?: number;
  readonly beta?: number;
  readonly forward: (b: GraphBuilder, x: Value, alpha: number, beta: number) => Value;
  /** dy/dx from y, of y's shape. */
  readonly derivative: (b: GraphBuilder, y: Value, alpha: number, beta: number) => Value;
}

const unary = (b: GraphBuilder, opType: string, x: Value, attributes: Record<string, { float: number }> = {}): Value =>
  b.op(opType, [x], attributes, { types: [x] });

/** 1 where the value is above `limit`, else 0. */
const above = (b: GraphBuilder, x: Value, limit: number): Value =>
  b.op('Cast', [b.op('Greater', [x, b.scalar(limit)], {}, { types: [{ type: 'bool', shape: x.shape }] })], { to: 1 }, { types: [x] });

/** y where it is positive, `other` elsewhere. */
const wherePositive = (b: GraphBuilder, y: Value, positive: Value, other: Value): Value =>
  b.op(
    'Where',
    [b.op('Greater', [y, b.scalar(0)], {}, { types: [{ type: 'bool', shape: y.shape }] }), positive, other],
    {},
    { types: [y] },
  );

/** In the standard's list, by their names in lower case (onnxruntime takes any case). All but those whose result does not tell the derivative. */
const FORMULAS: Readonly<Record<string, Formula>> = {
  sigmoid: {
    forward: (b, x) => unary(b, 'Sigmoid', x),
    derivative: (b, y) => binary(b, 'Mul', y, binary(b, 'Sub', b.scalar(1), y)),
  },
  tanh: {
    forward: (b, x) => unary(b, 'Tanh', x),
    derivative: (b, y) => binary(b, 'Sub', b.scalar(1), binary(b, 'Mul', y, y)),
  },
  relu: {
    forward: (b, x) => unary(b, 'Relu', x),
    derivative: (b, y) => above(b, y, 0),
  },
  hardsigmoid: {
    alpha: 0.2,
    beta: 0.5,
    forward: (b, x, alpha, beta) => unary(b, 'HardSigmoid', x, { alpha: { float: alpha }, beta: { float: beta } }),
    derivative: (b, y, alpha) =>
      binary(b, 'Mul', binary(b, 'Mul', above(b, y, 0), above(b, binary(b, 'Sub', b.scalar(1), y), 0)), b.scalar(alpha)),
  },
  leakyrelu: {
    alpha: 0.01,
    forward: (b, x, alpha) => unary(b, 'LeakyRelu', x, { alpha: { float: alpha } }),
    derivative: (b, y, alpha) => wherePositive(b, y, b.scalar(1), b.scalar(alpha)),
  },
  elu: {
    alpha: 1,
    forward: (b, x, alpha) => unary(b, 'Elu', x, { alpha: { float: alpha } }),
    derivative: (b, y, alpha) => wherePositive(b, y, b.scalar(1), binary(b, 'Add', y, b.scalar(alpha))),
  },
  softsign: {
    forward: (b, x) => unary(b, 'Softsign', x),
    derivative: (b, y) => {
      const rest = binary(b, 'Sub', b.scalar(1), unary(b, 'Abs', y));
      return binary(b, 'Mul', rest, rest);
    },
  },
  softplus: {
    forward: (b, x) => unary(b, 'Softplus', x),
    derivative: (b, y) => binary(b, 'Sub', b.scalar(1), unary(b, 'Exp', unary(b, 'Neg', y))),
  },
};

/** Activations of each direction, in the order f, g, h; LSTM has three, GRU two, RNN one. */
const DEFAULTS: Readonly<Record<string, readonly string[]>> = {
  LSTM: ['Sigmoid', 'Tanh', 'Tanh'],
  GRU: ['Sigmoid', 'Tanh'],
  RNN: ['Tanh'],
};

/**
 * The activations of every direction of a recurrent node.
 * @returns by direction, then f, g, h
 * @throws UserError naming an activation that cannot be trained through, or where their number does not fit
 */
export function activationsOf(node: Node, directions: number): Activation[][] {
  const defaults = DEFAULTS[node.opType];
  const given = attr.strings(node, 'activations');
  const names = given?.length ? given : Array.from({ length: directions }, () => defaults).flat();
  if (names.length !== directions * defaults.length)
    throw new UserError(
      `${node.opType} '${node.name || node.outputs[0]}' names ${names.length} activations where ${directions * defaults.length} belong`,
      'The file is damaged, or was written by a faulty exporter.',
    );
  // Only activations that take a parameter use up one of the lists.
  const alphas = [...(attr.floats(node, 'activation_alpha') ?? [])];
  const betas = [...(attr.floats(node, 'activation_beta') ?? [])];
  const all = names.map((name): Activation => {
    const formula = Object.hasOwn(FORMULAS, name.toLowerCase()) ? FORMULAS[name.toLowerCase()] : undefined;
    if (!formula)
      throw new UserError(
        `${node.opType} '${node.name || node.outputs[0]}' uses the activation '${name}', which cannot be trained through`,
        'Freeze the layers before it, or do without fine-tuning (recovery.epochs: 0).',
      );
    const alpha = formula.alpha === undefined ? 0 : (alphas.shift() ?? formula.alpha);
    const beta = formula.beta === undefined ? 0 : (betas.shift() ?? formula.beta);
    return (b, x) => {
      const value = formula.forward(b, x, alpha, beta);
      return { value, backward: (gradient) => binary(b, 'Mul', gradient, formula.derivative(b, value, alpha, beta)) };
    };
  });
  return Array.from({ length: directions }, (_, d) => all.slice(d * defaults.length, (d + 1) * defaults.length));
}

/** The activation of a value that is first held between −limit and limit (attribute `clip`); the gradient stops outside. */
export function clipped(activation: Activation, limit: number): Activation {
  if (limit === 0) return activation;
  return (b, x) => {
    const held = b.op('Clip', [x, b.scalar(-limit), b.scalar(limit)], {}, { types: [x] });
    const { value, backward } = activation(b, held);
    const inside = (): Value => above(b, binary(b, 'Sub', b.scalar(limit), unary(b, 'Abs', x)), 0);
    return { value, backward: (gradient) => binary(b, 'Mul', backward(gradient), inside()) };
  };
}
