/**
 * Recurrent layers, embeddings, and the wrappers around layers. Sequences are N, C, T in the graph, as all values with channels; the
 * recurrent operators take them as T, N, C.
 */
import { elementCount } from '../onnx/tensor';
import type { Value } from '../ops/builder';
import {
  carried,
  DAMAGED,
  flagOf,
  graphAxis,
  inSourceOrder,
  type LayerContext,
  type LayerReader,
  numberOf,
  only,
  refuse,
  textOf,
} from './keras-context';
import { gathered, maskOfTokens, spread } from './keras-masks';
import { isObject, type JsonObject } from './keras-topology';
import { permuted, type Weight } from './weights';

/** Gates of the source by the place that ONNX wants them in. */
const CELLS: Readonly<Record<string, { opType: string; gates: readonly number[] }>> = {
  // Keras: input, forget, cell, output; ONNX: input, output, forget, cell.
  LSTM: { opType: 'LSTM', gates: [0, 3, 1, 2] },
  // Both: update, reset, hidden.
  GRU: { opType: 'GRU', gates: [0, 1, 2] },
  SimpleRNN: { opType: 'RNN', gates: [0] },
};

/** What an activation is called in ONNX, with its alpha and beta where it has them. */
function activationOf(c: LayerContext, field: string, fallback: string): { name: string; alpha?: number; beta?: number } {
  const name = textOf(c.config, field, fallback)
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .toLowerCase();
  const slope = c.dialect === 'keras3' ? 1 / 6 : 0.2;
  const known: Readonly<Record<string, { name: string; alpha?: number; beta?: number }>> = {
    tanh: { name: 'Tanh' },
    sigmoid: { name: 'Sigmoid' },
    relu: { name: 'Relu' },
    softsign: { name: 'Softsign' },
    softplus: { name: 'Softplus' },
    elu: { name: 'Elu', alpha: 1 },
    hard_sigmoid: { name: 'HardSigmoid', alpha: slope, beta: 0.5 },
    linear: { name: 'Affine', alpha: 1, beta: 0 },
  };
  return Object.hasOwn(known, name) ? known[name] : refuse(c, `has the ${field} '${name}', which a recurrent layer is not read with`);
}

/** Blocks of `units` columns, in another order. */
function gatesInOrder(w: Weight, gates: readonly number[], units: number): Weight {
  const rows = elementCount(w.dims.slice(0, -1));
  const data = new Float32Array(w.data.length);
  const width = gates.length * units;
  for (let row = 0; row < rows; row++)
    for (const [to, from] of gates.entries())
      data.set(w.data.subarray(row * width + from * units, row * width + (from + 1) * units), row * width + to * units);
  return { dims: w.dims, data };
}

const joined = (weights: readonly Weight[], dims: readonly number[]): Weight => {
  const data = new Float32Array(elementCount(dims));
  let at = 0;
  for (const w of weights) {
    data.set(w.data, at);
    at += w.data.length;
  }
  return { dims, data };
};

/** W [G·H, I], R [G·H, H] and B [2·G·H] of one direction. */
function directionWeights(c: LayerContext, inputs: number): { w: Weight; r: Weight; b: Weight; after: boolean } {
  const { gates } = CELLS[c.className];
  const units = unitsOf(c);
  const width = gates.length * units;
  const turned = (name: string, rows: number): Weight => permuted(gatesInOrder(c.weight(name, [rows, width]), gates, units), [1, 0]);
  const after = c.className === 'GRU' && flagOf(c.config, 'reset_after', c.dialect !== 'tfjs');
  const zeros: Weight = { dims: [width], data: new Float32Array(width) };
  const bias = flagOf(c.config, 'use_bias', true) ? gatesInOrder(c.weight('bias', after ? [2, width] : [width]), gates, units) : undefined;
  const b = !bias
    ? joined([zeros, zeros], [2 * width])
    : after
      ? { dims: [2 * width], data: bias.data }
      : joined([bias, zeros], [2 * width]);
  return { w: turned('kernel', inputs), r: turned('recurrent_kernel', units), b, after };
}

function unitsOf(c: LayerContext): number {
  const units = numberOf(c, 'units', 0);
  if (!Number.isInteger(units) || units < 1) refuse(c, `has ${units} units`, DAMAGED);
  return units;
}

/** One or both directions of a cell. @returns the whole sequence [T, D, N, H] and the last state [D, N, H] */
function cell(c: LayerContext, directions: readonly LayerContext[], direction: string): { sequence: Value; last: Value } {
  const [first] = directions;
  if (c.inputs.length !== 1) refuse(c, 'is given its initial state, which is not read');
  if (flagOf(first.config, 'return_state', false)) refuse(c, 'returns its state, which is not read');
  if (numberOf(first, 'recurrent_dropout', 0) < 0) refuse(c, 'has a negative dropout', DAMAGED);
  const [{ value: x, mask }] = c.inputs;
  if (x.shape.length !== 3) refuse(c, `takes sequences and is given a value of ${x.shape.length} axes`, DAMAGED);
  if (c.layout === 'first') refuse(c, 'takes sequences, whose last axis holds no channels here (the model keeps channels first)');
  const parts = directions.map((d) => directionWeights(d, x.shape[1]));
  const units = unitsOf(first);
  const stacked = (name: 'w' | 'r' | 'b', dims: readonly number[]): Value =>
    c.constant(
      name.toUpperCase(),
      joined(
        parts.map((p) => p[name]),
        [parts.length, ...dims],
      ),
    );
  const { opType, gates } = CELLS[first.className];
  const rows = gates.length * units;
  const activation = activationOf(first, 'activation', 'tanh');
  const recurrent = activationOf(first, 'recurrent_activation', c.dialect === 'tfjs' ? 'hard_sigmoid' : 'sigmoid');
  const each = opType === 'RNN' ? [activation] : opType === 'GRU' ? [recurrent, activation] : [recurrent, activation, activation];
  const all = directions.flatMap(() => each);
  const usual = opType === 'RNN' ? 'Tanh' : opType === 'GRU' ? 'Sigmoid Tanh' : 'Sigmoid Tanh Tanh';
  const isUsual = each.map((a) => a.name).join(' ') === usual;
  // Coefficients stand in the order of the activations that take any.
  const numbers = (key: 'alpha' | 'beta'): Float32Array | undefined => {
    const values = all.flatMap((a) => (a[key] === undefined ? [] : [a[key]]));
    return values.length > 0 ? Float32Array.from(values) : undefined;
  };
  const front = mask && gathered(c, x, mask);
  const turned = c.op('Transpose', [front?.x ?? x], { perm: [2, 0, 1] }, 'steps');
  const weights = [stacked('w', [rows, x.shape[1]]), stacked('r', [rows, units]), stacked('b', [2 * rows])];
  const [sequence, last] = c.ops(
    opType,
    [turned, ...weights, ...(front ? [front.lengths] : [])],
    {
      hidden_size: units,
      direction,
      activations: isUsual ? undefined : all.map((a) => a.name),
      activation_alpha: isUsual ? undefined : numbers('alpha'),
      activation_beta: isUsual ? undefined : numbers('beta'),
      linear_before_reset: opType === 'GRU' && parts[0].after ? 1 : undefined,
    },
    opType === 'LSTM' ? 3 : 2,
  );
  return { sequence, last };
}

const recurrent: LayerReader = (c) => {
  const backwards = flagOf(c.config, 'go_backwards', false);
  const { sequence, last } = cell(c, [c], backwards ? 'reverse' : 'forward');
  if (!flagOf(c.config, 'return_sequences', false)) return carried(c.op('Squeeze', [last, c.b.ints([0])], {}, 'last'));
  // A layer that goes backwards returns what it made in that order; ONNX puts it back.
  if (backwards) refuse(c, 'goes backwards and returns the whole sequence, which is not read', 'Wrap it in Bidirectional.');
  const { mask } = c.inputs[0];
  const whole = c.op('Squeeze', [sequence, c.b.ints([1])], {}, 'sequence');
  const channels = c.op('Transpose', [whole], { perm: [1, 2, 0] }, 'channels');
  return mask ? { ...carried(spread(c, channels, mask, false, 'every')), mask } : carried(channels);
};

/** The layer that a wrapper holds. */
function held(c: LayerContext, field: string): { className: string; config: JsonObject } {
  const layer = c.config[field];
  const className = isObject(layer) ? layer['class_name'] : undefined;
  if (!isObject(layer) || typeof className !== 'string' || !isObject(layer['config'])) refuse(c, `names no ${field}`, DAMAGED);
  return { className, config: layer['config'] };
}

const bidirectional: LayerReader = (c) => {
  const forward = held(c, 'layer');
  const backward = c.config['backward_layer'] === undefined || c.config['backward_layer'] === null ? forward : held(c, 'backward_layer');
  if (!Object.hasOwn(CELLS, forward.className) || backward.className !== forward.className)
    refuse(c, `runs a ${forward.className} both ways, which is not read`);
  const name = textOf(forward.config, 'name', forward.className.toLowerCase()).replace(/^forward_/, '');
  const parts = [
    c.inner(`forward_${name}`, forward.className, forward.config),
    c.inner(`backward_${name}`, backward.className, backward.config),
  ];
  const units = unitsOf(parts[0]);
  if (unitsOf(parts[1]) !== units) refuse(c, 'has other numbers of units forwards and backwards');
  const { sequence, last } = cell({ ...c, className: forward.className }, parts, 'bidirectional');
  const mode = textOf(c.config, 'merge_mode', 'concat');
  if (!['concat', 'sum', 'ave', 'mul'].includes(mode)) refuse(c, `merges by '${mode}'`, 'Concat, sum, ave and mul are read.');
  const whole = flagOf(forward.config, 'return_sequences', false);
  const { mask } = c.inputs[0];
  if (mask && whole) return { ...carried(bothWays(c, sequence, mask, mode)), mask };
  // [T, 2, N, H] to [N, 2, H, T], and [2, N, H] to [N, 2, H]: directions and units then lie side by side.
  const value = whole
    ? c.op('Transpose', [sequence], { perm: [2, 1, 3, 0] }, 'channels')
    : c.op('Transpose', [last], { perm: [1, 0, 2] }, 'last');
  if (mode === 'concat') return carried(c.op('Reshape', [value, c.b.ints(whole ? [0, 2 * units, -1] : [0, -1])], {}, 'both'));
  const opType = mode === 'mul' ? 'ReduceProd' : mode === 'ave' ? 'ReduceMean' : 'ReduceSum';
  const shape = value.shape.filter((_, i) => i !== 1);
  if (opType === 'ReduceSum') return carried(c.op(opType, [value, c.b.ints([1])], { keepdims: 0 }, 'both'));
  return carried(c.op(opType, [value], { axes: [1], keepdims: 0 }, 'both', { types: [{ type: value.type, shape }] }));
};

/** The outputs of both directions at every step of a masked sequence, merged. @param sequence [T, 2, N, H] */
function bothWays(c: LayerContext, sequence: Value, mask: Value, mode: string): Value {
  const [forwards, backwards] = [0, 1].map((way) => {
    const part = way === 0 ? 'forward' : 'backward';
    const one = c.op('Gather', [sequence, c.b.ints([way])], { axis: 1 }, `${part}/one`);
    const turned = c.op(
      'Transpose',
      [c.op('Squeeze', [one, c.b.ints([1])], {}, `${part}/sequence`)],
      { perm: [1, 2, 0] },
      `${part}/channels`,
    );
    return spread(c, turned, mask, way === 1, part);
  });
  if (mode === 'concat') return c.op('Concat', [forwards, backwards], { axis: 1 }, 'both');
  const merged = c.op(mode === 'mul' ? 'Mul' : 'Add', [forwards, backwards], {}, mode === 'ave' ? 'sum' : 'both');
  return mode === 'ave' ? c.op('Mul', [merged, c.b.scalar(0.5)], {}, 'both') : merged;
}

/** [N] or [N, T] token numbers to [N, C, T]. */
const embedding: LayerReader = (c) => {
  const { value: ids, order } = only(c);
  const [tokens, width] = [numberOf(c, 'input_dim', 0), numberOf(c, 'output_dim', 0)];
  if (ids.shape.length !== 2 || order) refuse(c, `looks up a value of ${ids.shape.length} axes`);
  const table = c.constant('embeddings', c.weight(['embeddings'], [tokens, width]));
  const whole = ids.type === 'int32' || ids.type === 'int64' ? ids : c.op('Cast', [ids], { to: 6 }, 'tokens');
  const looked = c.op('Gather', [table, whole], { axis: 0 });
  const mask = flagOf(c.config, 'mask_zero', false) ? maskOfTokens(c, ids) : undefined;
  return { ...carried(c.op('Transpose', [looked], { perm: [0, 2, 1] }, 'channels')), mask };
};

/** [N, C] to [N, C, T]: the same at every step. */
const repeatVector: LayerReader = (c) => {
  const input = only(c);
  const x = inSourceOrder(c, input);
  const count = numberOf(c, 'n', 0);
  if (x.shape.length !== 2 || !Number.isInteger(count) || count < 1)
    refuse(c, `repeats a value of ${x.shape.length} axes ${count} times`, DAMAGED);
  const grown = c.op('Unsqueeze', [x, c.b.ints([2])], {}, 'step');
  return carried(
    c.op('Expand', [grown, c.b.ints([1, 1, count])], {}, '', { types: [{ type: x.type, shape: [x.shape[0], x.shape[1], count] }] }),
  );
};

/** Layers that treat every step alike by themselves: with channels first they need no wrapper. */
const STEPWISE = new Set([
  'Dense',
  'Activation',
  'ReLU',
  'LeakyReLU',
  'ELU',
  'Softmax',
  'Dropout',
  'BatchNormalization',
  'LayerNormalization',
]);

const timeDistributed =
  (layers: () => Readonly<Record<string, LayerReader>>): LayerReader =>
  (c) => {
    const { className, config } = held(c, 'layer');
    if (!STEPWISE.has(className)) refuse(c, `applies a ${className} at every step, which is not read`);
    return layers()[className](c.inner(textOf(config, 'name', 'layer'), className, config, true));
  };

/** Normalises each place over its channels (Ba, Kiros, Hinton 2016). */
const layerNormalization: LayerReader = (c) => {
  const { value: x, order } = only(c);
  const rank = x.shape.length;
  const given = c.config['axis'];
  const axis = Array.isArray(given) && given.length === 1 ? given[0] : (given ?? -1);
  if (typeof axis !== 'number' || graphAxis(c, axis, rank) !== 1)
    refuse(c, `normalises over axis ${JSON.stringify(given)}, which does not hold the channels`);
  const count = x.shape[1];
  const parameter = (name: string, present: boolean, value: number): Value => {
    const weight = present ? c.weight(name, [count]) : { dims: [count], data: new Float32Array(count).fill(value) };
    return c.constant(name, order ? { dims: [count], data: Float32Array.from(order, (from) => weight.data[from]) } : weight);
  };
  const gamma = parameter('gamma', flagOf(c.config, 'scale', true), 1);
  const beta = parameter('beta', flagOf(c.config, 'center', true), 0);
  const epsilon = { float: numberOf(c, 'epsilon', 1e-3) };
  if (rank === 2) return carried(c.op('LayerNormalization', [x, gamma, beta], { axis: -1, epsilon }), order);
  const spatial = Array.from({ length: rank - 2 }, (_, i) => i + 2);
  const last = c.op('Transpose', [x], { perm: [0, ...spatial, 1] }, 'last');
  const y = c.op('LayerNormalization', [last, gamma, beta], { axis: -1, epsilon });
  return carried(c.op('Transpose', [y], { perm: [0, rank - 1, ...spatial.map((a) => a - 1)] }, 'first'));
};

export const recurrentLayers = (layers: () => Readonly<Record<string, LayerReader>>): Readonly<Record<string, LayerReader>> => ({
  LSTM: recurrent,
  GRU: recurrent,
  SimpleRNN: recurrent,
  Bidirectional: bidirectional,
  Embedding: embedding,
  RepeatVector: repeatVector,
  TimeDistributed: timeDistributed(layers),
  LayerNormalization: layerNormalization,
});
