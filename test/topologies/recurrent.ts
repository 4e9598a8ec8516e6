/** Small recurrent networks over sequences [samples, steps, features]: what reads the states, and where the states come from. */
import type { Value } from '../../src/engine/ops/builder';
import { GATES } from '../../src/engine/ops/recurrent-layout';
import { type Network, topology } from './network';

interface RecurrentOptions {
  readonly bidirectional?: boolean;
  readonly attributes?: Record<string, number | string>;
  readonly states?: readonly Value[];
  readonly peepholes?: boolean;
}

/** A recurrent layer over x [steps, samples, features] with weights named as PyTorch's exporter and ONNX name them. */
function recurrent(
  n: Network,
  opType: 'LSTM' | 'GRU' | 'RNN',
  name: string,
  x: Value,
  hidden: number,
  options: RecurrentOptions = {},
): Value[] {
  const { bidirectional = false, attributes = {}, states = [], peepholes = false } = options;
  const directions = bidirectional ? 2 : 1;
  const rows = GATES[opType] * hidden;
  const scale = 1 / Math.sqrt(hidden);
  const inputs = [
    x,
    n.weights(`${name}.W`, [directions, rows, x.shape[2]], 1 / Math.sqrt(x.shape[2])),
    n.weights(`${name}.R`, [directions, rows, hidden], scale),
    n.weights(`${name}.B`, [directions, 2 * rows], 0.3),
    undefined,
    ...[0, 1].map((i) => states[i]),
    peepholes ? n.weights(`${name}.P`, [directions, 3 * hidden], 0.3) : undefined,
  ];
  while (inputs[inputs.length - 1] === undefined) inputs.pop();
  const direction = bidirectional ? { direction: 'bidirectional' } : {};
  return n.b.ops(opType, inputs, { hidden_size: hidden, ...direction, ...attributes }, { name, outputs: opType === 'LSTM' ? 3 : 2 });
}

/** Steps first, as the operators take them. */
const stepsFirst = (n: Network, x: Value): Value => n.op('Transpose', 'stepsFirst', [x], { perm: [1, 0, 2] });

/** Without the axis of directions, of which there is one. */
const oneDirection = (n: Network, name: string, y: Value, axis: number): Value => n.op('Squeeze', name, [y, n.b.ints([axis])]);

const SEQUENCE = { input: [2, 5, 6] };

export const recurrentTopologies = [
  topology(
    'LSTM',
    'LSTM with peepholes → last state → fc',
    { lstm: 8 },
    (n) => {
      const [, last] = recurrent(n, 'LSTM', 'lstm', stepsFirst(n, n.input(5, 6)), 8, { peepholes: true });
      return n.done(n.gemm('fc', oneDirection(n, 'last', last, 0), 5));
    },
    SEQUENCE,
  ),
  topology(
    'GRU',
    'GRU (linear before reset) → samples first → last step → fc',
    { gru: 7 },
    (n) => {
      const [y] = recurrent(n, 'GRU', 'gru', stepsFirst(n, n.input(5, 6)), 7, { attributes: { linear_before_reset: 1 } });
      const samplesFirst = n.op('Transpose', 'samplesFirst', [oneDirection(n, 'steps', y, 1)], { perm: [1, 0, 2] });
      const last = n.b.op('Slice', [samplesFirst, n.b.ints([4]), n.b.ints([5]), n.b.ints([1])], {}, { name: 'lastStep' });
      return n.done(n.gemm('fc', n.op('Reshape', 'flat', [last, n.b.ints([-1, 7])]), 5));
    },
    SEQUENCE,
  ),
  topology(
    'RNN',
    'RNN backwards → all steps flattened → fc (a unit is every 6th column)',
    { rnn: 6 },
    (n) => {
      const [y] = recurrent(n, 'RNN', 'rnn', stepsFirst(n, n.input(5, 6)), 6, { attributes: { direction: 'reverse' } });
      const samplesFirst = n.op('Transpose', 'samplesFirst', [oneDirection(n, 'steps', y, 1)], { perm: [1, 0, 2] });
      return n.done(n.gemm('fc', n.op('Flatten', 'flat', [samplesFirst], { axis: 1 }), 5));
    },
    SEQUENCE,
  ),
  topology(
    'bidirectional',
    'LSTM both ways → directions side by side → GRU both ways → both last states → fc',
    { first: 6, second: 5 },
    (n) => {
      const [y] = recurrent(n, 'LSTM', 'first', stepsFirst(n, n.input(5, 6)), 6, { bidirectional: true });
      const sideBySide = n.op('Reshape', 'sideBySide', [n.op('Transpose', 'turned', [y], { perm: [0, 2, 1, 3] }), n.b.ints([0, 0, -1])]);
      const [, last] = recurrent(n, 'GRU', 'second', sideBySide, 5, { bidirectional: true });
      const turned = n.op('Transpose', 'turnedLast', [last], { perm: [1, 0, 2] });
      return n.done(n.gemm('fc', n.op('Flatten', 'flat', [turned], { axis: 1 }), 5));
    },
    SEQUENCE,
  ),
  topology(
    'stacked',
    'LSTM → LSTM → MatMul at every step → relu → mean over the steps → fc',
    { lower: 8, upper: 6, mix: 7 },
    (n) => {
      const [lower] = recurrent(n, 'LSTM', 'lower', stepsFirst(n, n.input(5, 6)), 8);
      const [upper] = recurrent(n, 'LSTM', 'upper', oneDirection(n, 'between', lower, 1), 6);
      const mixed = n.relu('mix.relu', n.linear('mix', oneDirection(n, 'above', upper, 1), 7));
      return n.done(n.gemm('fc', n.op('ReduceMean', 'mean', [mixed], { axes: [0], keepdims: 0 }), 5));
    },
    SEQUENCE,
  ),
  topology(
    'encoder and decoder',
    'the states in which an LSTM ends start a second one, so both have the same units → fc',
    { encoder: 6 },
    (n) => {
      const x = stepsFirst(n, n.input(5, 6));
      const [, h, c] = recurrent(n, 'LSTM', 'encoder', x, 6);
      const [, last] = recurrent(n, 'LSTM', 'decoder', x, 6, { states: [h, c] });
      return n.done(n.gemm('fc', oneDirection(n, 'last', last, 0), 5));
    },
    SEQUENCE,
  ),
];
