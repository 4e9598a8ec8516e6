/**
 * What LSTM, GRU and RNN share: how their weights and states are laid out, and what follows from that.
 *
 * With S steps, N samples, I inputs, H hidden units, D directions (2 where bidirectional) and G gates (4 for LSTM, 3 for GRU, 1 for RNN):
 *   inputs   0 X [S, N, I], 1 W [D, G·H, I], 2 R [D, G·H, H], 3 B [D, 2·G·H] (that of W, then that of R), 4 sequence_lens [N],
 *            5 initial_h [D, N, H]; LSTM only: 6 initial_c [D, N, H], 7 P [D, 3·H] (peepholes)
 *   outputs  0 Y [S, D, N, H], 1 Y_h [D, N, H]; LSTM only: 2 Y_c [D, N, H]
 * With `layout` 1 samples come first: X [N, S, I], initial states, Y_h and Y_c [N, D, H], Y [N, S, D, H]. Weights stay as they are.
 */
import { UserError } from '../errors';
import { attr, type Dim, type Node, type Shape } from '../onnx/model';
import { elementCount } from '../onnx/tensor';
import { carried, isInitializer, nodeLabel } from './channel-axes';
import type { ChannelContext, CostContext, InferContext, Operator, ShrinkContext, ValueType } from './operator';

/** Inputs by position. */
export const INPUT = { x: 0, w: 1, r: 2, b: 3, lengths: 4, h: 5, c: 6, p: 7 } as const;

/** Blocks of H rows in W and R, by operator. */
export const GATES: Readonly<Record<string, number>> = { LSTM: 4, GRU: 3, RNN: 1 };

/** The standard's recurrent operators. */
export const isRecurrent = (node: Pick<Node, 'opType' | 'domain'>): boolean => node.domain === '' && Object.hasOwn(GATES, node.opType);

/** The axis of W and R along which gate rows lie, and that over which they sum. */
export const GATE_AXIS = 1;
export const SUMMED_AXIS = 2;

export type Direction = 'forward' | 'reverse' | 'bidirectional';

/** @throws UserError where the direction is none of the standard's */
export function directionOf(node: Node): Direction {
  const direction = attr.string(node, 'direction', 'forward');
  if (direction !== 'forward' && direction !== 'reverse' && direction !== 'bidirectional')
    throw new UserError(`it runs in the direction '${direction}', which is none of forward, reverse and bidirectional`);
  return direction;
}

export const samplesFirst = (node: Node): boolean => attr.int(node, 'layout', 0) === 1;

/** @throws UserError where a tensor's shape does not belong to such a node */
function infer({ node, inputs }: InferContext): ValueType[] {
  const gates = GATES[node.opType];
  const directions = directionOf(node) === 'bidirectional' ? 2 : 1;
  const x = inputs[INPUT.x]?.shape;
  const r = inputs[INPUT.r]?.shape;
  if (x && x.length !== 3)
    throw new UserError(`its input '${node.inputs[0]}' has the shape [${x.join(', ')}], not [steps, samples, features]`);
  const hidden = attr.int(node, 'hidden_size', 0) || (r?.[SUMMED_AXIS] ?? '');
  if (typeof hidden === 'number' && hidden < 1)
    throw new UserError(`it has ${hidden} hidden units`, 'The file is damaged; export it again.');
  const expect = (input: number, what: string, shape: Shape): void => {
    const given = inputs[input]?.shape;
    const misfit = given?.some((d, axis) => typeof d === 'number' && typeof shape[axis] === 'number' && d !== shape[axis]);
    if (given && (given.length !== shape.length || misfit))
      throw new UserError(
        `its ${what} '${node.inputs[input]}' has the shape [${given.join(', ')}] where [${shape.map((d) => (d === '' ? '?' : d)).join(', ')}] belongs`,
        'The file is damaged, or was changed by a tool that does not know this operator; export it again.',
      );
  };
  const rows = (blocks: number): Dim => (typeof hidden === 'number' ? blocks * hidden : '');
  const first = samplesFirst(node);
  const [steps, samples]: Dim[] = x ? (first ? [x[1], x[0]] : [x[0], x[1]]) : ['', ''];
  const state: Shape = first ? [samples, directions, hidden] : [directions, samples, hidden];
  expect(INPUT.w, 'weight', [directions, rows(gates), x?.[2] ?? '']);
  expect(INPUT.r, 'recurrent weight', [directions, rows(gates), hidden]);
  expect(INPUT.b, 'bias', [directions, rows(2 * gates)]);
  expect(INPUT.lengths, 'list of lengths', [samples]);
  expect(INPUT.h, 'initial state', state);
  if (node.opType === 'LSTM') {
    expect(INPUT.c, 'initial cell state', state);
    expect(INPUT.p, 'peephole weight', [directions, rows(3)]);
  }
  const type = inputs[INPUT.x]?.type ?? 'float32';
  const sequence: Shape = first ? [samples, steps, directions, hidden] : [steps, directions, samples, hidden];
  return [{ type, shape: sequence }, ...Array.from({ length: node.opType === 'LSTM' ? 2 : 1 }, () => ({ type, shape: state }))];
}

/** Every row of W and of R meets every step of every sample once. */
function cost({ inputs }: CostContext): number {
  const x = inputs[INPUT.x]?.shape;
  const known = (d: Dim | undefined): number => (typeof d === 'number' ? d : 1);
  const weights = [INPUT.w, INPUT.r].reduce((sum, i) => sum + elementCount((inputs[i]?.shape ?? [0]).map(known)), 0);
  return x ? known(x[0]) * known(x[1]) * weights : 0;
}

/**
 * A hidden unit is a row in each gate of W and R with its biases and peepholes, a column of R, and a place in both states: all are
 * lost together. Both directions of a bidirectional layer lie in one tensor, so unit k goes from both.
 */
function channels(context: ChannelContext): void {
  const { node, outputs } = context;
  const given = (input: number): boolean => node.inputs[input] !== undefined && node.inputs[input] !== '';
  if (!isInitializer(context, INPUT.w) || !isInitializer(context, INPUT.r) || (given(INPUT.b) && !isInitializer(context, INPUT.b))) {
    freezeAll(context, `${nodeLabel(context)} computes its weights while it runs`);
    return;
  }
  const units = context.atoms(INPUT.r, SUMMED_AXIS)!;
  const count = units.length;
  context.role(INPUT.r, SUMMED_AXIS, 'consumer');
  /** Couples each block of H positions with the units. */
  const join = (input: number, axis: number, role?: 'producer' | 'parameter'): void => {
    const atoms = role ? context.atoms(input, axis) : carried(context, input, axis);
    if (role) context.role(input, axis, role);
    if (!atoms) context.freeze(units, `${nodeLabel(context)} starts from a state whose channels cannot be removed`);
    for (let from = 0; atoms && from < atoms.length; from += count) context.couple(units, atoms.subarray(from, from + count));
  };
  join(INPUT.w, GATE_AXIS, 'producer');
  join(INPUT.r, GATE_AXIS, 'producer');
  if (given(INPUT.b)) join(INPUT.b, 1, 'parameter');
  if (given(INPUT.p)) {
    if (isInitializer(context, INPUT.p)) join(INPUT.p, 1, 'parameter');
    else context.freeze(units, `${nodeLabel(context)} computes its peephole weights while it runs`);
  }
  for (const input of [INPUT.h, INPUT.c]) if (given(input)) join(input, 2, isInitializer(context, input) ? 'parameter' : undefined);

  context.role(INPUT.w, SUMMED_AXIS, 'consumer');
  const features = context.atoms(INPUT.w, SUMMED_AXIS)!;
  const read = carried(context, INPUT.x, 2);
  if (read) context.couple(read, features);
  else context.freeze(features, `${nodeLabel(context)} reads a value whose channels cannot be removed`);
  outputs.forEach((_, output) => {
    context.setOutput(output, output === 0 ? 3 : 2, units);
  });
}

function freezeAll(context: ChannelContext, reason: string): void {
  context.inputs.forEach((type, input) => {
    type?.shape?.forEach((_, axis) => {
      const atoms = carried(context, input, axis);
      if (atoms) context.freeze(atoms, reason);
    });
  });
}

function shrink({ node, keptInput, setAttribute }: ShrinkContext): void {
  const kept = keptInput(INPUT.r, SUMMED_AXIS);
  if (kept && node.attributes.has('hidden_size')) setAttribute('hidden_size', kept.length);
}

/** Shapes, costs and channels of all three. */
export const recurrentLayout: Pick<Operator, 'infer' | 'cost' | 'channels' | 'shrink'> = { infer, cost, channels, shrink };
