/**
 * Recurrent operators as graphs of plain ones, for training: onnxruntime's own kernels keep no gates and have no gradient, so the steps
 * are written out, forward and backward (back-propagation through time, Werbos 1990). What does not depend on the step before is one
 * matrix product over all steps: W·x forward; the gradients by W, R and x backward. Names as in `recurrent-layout.ts`.
 */
import { UserError } from '../errors';
import { attr, type Node } from '../onnx/model';
import type { GraphBuilder, Value } from './builder';
import { zeros } from './concat';
import { binary, concat, gemm, range, reduceSum, reshape, slice, transpose } from './emit';
import type { GradientContext, InputGradients, OutputGradients, TrainingForm } from './operator';
import { type Activation, activationsOf, clipped } from './recurrent-activations';
import { directionOf, GATES, INPUT, samplesFirst } from './recurrent-layout';

/** What one direction of a cell is made from. */
export interface CellParts {
  readonly b: GraphBuilder;
  readonly node: Node;
  /** H. */
  readonly hidden: number;
  /** f, g, h as the operator has them, `clip` included where it holds. */
  readonly activations: readonly Activation[];
  /** R of this direction, [G·H, H]. */
  readonly r: Value;
  /** The second half of B, [G·H]; present only where the cell asks for it apart (`recurrentBiasApart`) and the node has one. */
  readonly recurrentBias?: Value;
  /** P of this direction, [3·H]. */
  readonly peepholes?: Value;
}

/** States between steps, [N, H] each; c only where the operator is an LSTM. */
export interface State {
  readonly h: Value;
  readonly c?: Value;
}

export interface CellStep {
  readonly state: State;
  /** Gradients by the step's share of W·x + bias [N, G·H] and by the state before, from those by the state after. */
  backward(gradient: State): { readonly x: Value; readonly state: State };
}

/** The steps of one direction, forward in order, then backward in the opposite order. */
export interface Cell {
  /** @param x [N, G·H]: W·x with the biases that are not apart */
  step(x: Value, state: State): CellStep;
  /** After all steps backward: gradients by R [G·H, H], and by what else the cell was given, in its shape. */
  weightGradients(): { readonly r: Value; readonly recurrentBias?: Value; readonly peepholes?: Value };
}

export interface CellKind {
  /** True where the recurrent bias is not simply added to the other one. */
  readonly recurrentBiasApart?: (node: Node) => boolean;
  readonly make: (parts: CellParts) => Cell;
}

/** Rows of one gradient, collected step by step, with what they were multiplied with: their product is a weight's gradient. */
export class CollectedProduct {
  private readonly rows: Value[] = [];
  private readonly factors: Value[] = [];

  constructor(private readonly b: GraphBuilder) {}

  add(rows: Value, factor: Value): void {
    this.rows.push(rows);
    this.factors.push(factor);
  }

  /** Σ rowsᵀ · factor over all steps. */
  product(): Value {
    return gemm(this.b, concat(this.b, this.rows, 0), concat(this.b, this.factors, 0), { transLeft: true });
  }

  /** Σ rows · factor elementwise over all steps and samples. */
  elementwise(): Value {
    return reduceSum(this.b, binary(this.b, 'Mul', concat(this.b, this.rows, 0), concat(this.b, this.factors, 0)), [0]);
  }

  /** Σ rows over all steps and samples. */
  sum(): Value {
    return reduceSum(this.b, concat(this.b, this.rows, 0), [0]);
  }
}

/** Equal parts along an axis. */
export function parts(b: GraphBuilder, x: Value, count: number, axis: number): Value[] {
  if (count === 1) return [x];
  const length = x.shape[axis] / count;
  const shape = x.shape.map((d, i) => (i === axis ? length : d));
  return b.ops(
    'Split',
    [x, b.ints(new Array<number>(count).fill(length))],
    { axis },
    { types: new Array(count).fill({ type: x.type, shape }) },
  );
}

type Context = Pick<GradientContext, 'node' | 'b' | 'inputs' | 'wants'>;

/** Every step is some dozens of nodes of the training graph. */
const MOST_STEPS = 2048;

const NEXT_STEP = 'Freeze the layers before it, or do without fine-tuning (recovery.epochs: 0).';

/**
 * The node written out over its steps.
 * @throws UserError where the number of steps is not known, samples have lengths of their own, or a variant has no gradient here
 */
export function unrolled(context: Context, kind: CellKind): TrainingForm {
  const { node, b, inputs, wants } = context;
  const label = `${node.opType} '${node.name || node.outputs[0]}'`;
  const [given, w, r] = [inputs[INPUT.x]!, inputs[INPUT.w]!, inputs[INPUT.r]!];
  if (![...given.shape, ...w.shape].every((d) => typeof d === 'number'))
    throw new UserError(
      `${label} runs over a number of steps that is not known before the model runs, so it cannot be trained through`,
      'Export the model with a fixed sequence length.',
    );
  if (attr.int(node, 'input_forget', 0) !== 0)
    throw new UserError(`${label} couples its input and forget gates (input_forget), which cannot be trained through`, NEXT_STEP);
  const first = samplesFirst(node);
  const x = first ? transpose(b, given, [1, 0, 2]) : given;
  const [steps, samples, features] = x.shape;
  if (steps > MOST_STEPS)
    throw new UserError(
      `${label} runs over ${steps} steps; more than ${MOST_STEPS} are not written out for training`,
      'Train on shorter sequences.',
    );
  requireWholeSequences(context, label, steps);
  const direction = directionOf(node);
  const reversed = direction === 'bidirectional' ? [false, true] : [direction === 'reverse'];
  const gates = GATES[node.opType];
  const hidden = r.shape[2];
  const rows = gates * hidden;
  const activations = activationsOf(node, reversed.length);
  const limit = attr.float(node, 'clip', 0);
  const flat = reshape(b, x, [steps * samples, features]);
  const apart = kind.recurrentBiasApart?.(node) ?? false;

  /** One direction's part of an input, without the axis of directions. */
  const part = (input: number, d: number, stateful = false): Value | undefined => {
    const value = inputs[input];
    if (!value) return undefined;
    const front = stateful && first ? transpose(b, value, [1, 0, 2]) : value;
    return reshape(b, slice(b, front, [0], [d], [1]), front.shape.slice(1));
  };
  const runs = reversed.map((backwards, d) => {
    const own = part(INPUT.w, d)!;
    const biases = part(INPUT.b, d);
    const [inputBias, recurrentBias] = biases ? parts(b, biases, 2, 0) : [];
    const bias = biases && (apart ? inputBias : binary(b, 'Add', inputBias, recurrentBias));
    const projected = b.op(
      'Gemm',
      bias ? [flat, own, bias] : [flat, own],
      { transB: 1 },
      { types: [{ type: x.type, shape: [steps * samples, rows] }] },
    );
    const cell = kind.make({
      b,
      node,
      hidden,
      // What reaches the gates is held; h, which shows the cell state, sees it whole: so does onnxruntime.
      activations: activations[d].map((a, i) => (i < 2 ? clipped(a, limit) : a)),
      r: part(INPUT.r, d)!,
      recurrentBias: apart ? recurrentBias : undefined,
      peepholes: part(INPUT.p, d),
    });
    const none = (): Value => zeros(b, [samples, hidden]);
    let state: State = { h: part(INPUT.h, d, true) ?? none(), c: node.opType === 'LSTM' ? (part(INPUT.c, d, true) ?? none()) : undefined };
    const order = backwards ? range(0, steps).reverse() : range(0, steps);
    const pieces = parts(b, projected, steps, 0);
    const made = new Map<number, CellStep>();
    for (const t of order) {
      const step = cell.step(pieces[t], state);
      made.set(t, step);
      state = step.state;
    }
    return { own, cell, order, made, last: state, biased: biases !== undefined };
  });

  const sequence = concat(
    b,
    runs.map(({ made }) =>
      reshape(
        b,
        concat(
          b,
          range(0, steps).map((t) => made.get(t)!.state.h),
          0,
        ),
        [steps, 1, samples, hidden],
      ),
    ),
    1,
  );
  const stacked = (states: readonly Value[]): Value => {
    const all = concat(
      b,
      states.map((s) => reshape(b, s, [1, samples, hidden])),
      0,
    );
    return first ? transpose(b, all, [1, 0, 2]) : all;
  };
  const outputs = [
    () => (first ? transpose(b, sequence, [2, 0, 1, 3]) : sequence),
    () => stacked(runs.map((run) => run.last.h)),
    () => stacked(runs.map((run) => run.last.c!)),
  ];
  return { outputs: node.outputs.map((_, i) => outputs[i]()), backward };

  function backward([dy, dh, dc]: OutputGradients): InputGradients {
    const sequenceGradient = dy && first ? transpose(b, dy, [1, 2, 0, 3]) : dy;
    const ofDirection = (g: Value | undefined, d: number): Value | undefined => {
      if (!g) return undefined;
      const front = first ? transpose(b, g, [1, 0, 2]) : g;
      return reshape(b, slice(b, front, [0], [d], [1]), [samples, hidden]);
    };
    const sum = (p: Value | undefined, q: Value | undefined): Value | undefined => (p && q ? binary(b, 'Add', p, q) : (p ?? q));
    const gradients = runs.map(({ own, cell, order, made, biased }, d) => {
      const perStep = sequenceGradient
        ? parts(b, reshape(b, slice(b, sequenceGradient, [1], [d], [1]), [steps * samples, hidden]), steps, 0)
        : undefined;
      let h = ofDirection(dh, d);
      let c = ofDirection(dc, d);
      const byInput = new Map<number, Value>();
      for (const t of order.toReversed()) {
        const none = (): Value => zeros(b, [samples, hidden]);
        const step = made.get(t)!;
        const result = step.backward({ h: sum(h, perStep?.[t]) ?? none(), c: step.state.c && (c ?? none()) });
        byInput.set(t, result.x);
        h = result.state.h;
        c = result.state.c;
      }
      const dx = concat(
        b,
        range(0, steps).map((t) => byInput.get(t)!),
        0,
      );
      const weights = cell.weightGradients();
      const bias = biased ? reduceSum(b, dx, [0]) : undefined;
      return {
        x: wants(INPUT.x) ? gemm(b, dx, own) : undefined,
        w: wants(INPUT.w) ? gemm(b, dx, flat, { transLeft: true }) : undefined,
        r: weights.r,
        bias: bias && concat(b, [bias, weights.recurrentBias ?? bias], 0),
        h,
        c,
        peepholes: weights.peepholes,
      };
    });
    /** Both directions along a new first axis. */
    const together = (values: ReadonlyArray<Value | undefined>): Value | undefined => {
      const all = values.filter((v) => v !== undefined);
      if (all.length < values.length) return undefined;
      return concat(
        b,
        all.map((v) => reshape(b, v, [1, ...v.shape])),
        0,
      );
    };
    const state = (values: ReadonlyArray<Value | undefined>): Value | undefined => {
      const all = together(values);
      return all && first ? transpose(b, all, [1, 0, 2]) : all;
    };
    const byX = gradients.map((g) => g.x).reduce(sum, undefined);
    const asGiven = (g: Value): Value => {
      const shaped = reshape(b, g, [steps, samples, features]);
      return first ? transpose(b, shaped, [1, 0, 2]) : shaped;
    };
    const all: Array<Value | undefined> = [];
    all[INPUT.x] = byX && asGiven(byX);
    all[INPUT.w] = together(gradients.map((g) => g.w));
    all[INPUT.r] = together(gradients.map((g) => g.r));
    all[INPUT.b] = together(gradients.map((g) => g.bias));
    all[INPUT.lengths] = undefined;
    all[INPUT.h] = state(gradients.map((g) => g.h));
    all[INPUT.c] = state(gradients.map((g) => g.c));
    all[INPUT.p] = together(gradients.map((g) => g.peepholes));
    return inputs.map((_, i) => (wants(i) ? all[i] : undefined));
  }
}

function requireWholeSequences({ b, inputs }: Context, label: string, steps: number): void {
  const lengths = inputs[INPUT.lengths];
  if (!lengths) return;
  const known = b.constantOf(lengths)?.numbers();
  if (!known || known.some((n) => n !== steps))
    throw new UserError(
      `${label} gives samples lengths of their own (sequence_lens), which cannot be trained through`,
      'Export the model without lengths, or do without fine-tuning (recovery.epochs: 0).',
    );
}
