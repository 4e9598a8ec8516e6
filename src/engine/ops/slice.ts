/** Slice: a range of positions along some axes. */
import { UserError } from '../errors';
import { attr, type Dim } from '../onnx/model';
import { isStatic, normalizeAxis, withConstants } from './axes';
import { reshapeTo } from './broadcast';
import type { GraphBuilder, Value } from './builder';
import { carried, freezeAxes, isInitializer, nodeLabel } from './channel-axes';
import { foldable, foldedTensor, positions, stridesOf } from './folding';
import type { InferContext, Operator } from './operator';

interface AxisRange {
  readonly axis: number;
  /** Position of this axis among the node's starts and ends. */
  readonly entry: number;
  readonly start: number;
  readonly end: number;
  readonly step: number;
}

interface Ranges {
  readonly starts: readonly number[];
  readonly ends: readonly number[];
  readonly axes: readonly AxisRange[];
}

/** Which positions are taken, as the node states it (attributes before operator set 10); undefined where that is not constant. */
function rangesOf({ node, opset, inputs }: Pick<InferContext, 'node' | 'opset' | 'inputs'>, rank: number): Ranges | undefined {
  const numbers = (name: string, input: number): number[] | undefined | 'unknown' => {
    if (opset < 10) return attr.ints(node, name);
    const given = inputs[input];
    return given ? (given.value?.numbers() ?? 'unknown') : undefined;
  };
  const starts = numbers('starts', 1);
  const ends = numbers('ends', 2);
  const axes = numbers('axes', 3);
  const steps = opset < 10 ? undefined : numbers('steps', 4);
  if (starts === 'unknown' || ends === 'unknown' || axes === 'unknown' || steps === 'unknown') return undefined;
  if (!starts || !ends || starts.length !== ends.length) throw new UserError('needs as many ends as starts');
  if ((axes && axes.length !== starts.length) || (steps && steps.length !== starts.length))
    throw new UserError('needs an axis and a step for each start');
  return {
    starts,
    ends,
    axes: starts.map((start, entry) => {
      const step = steps?.[entry] ?? 1;
      if (step === 0) throw new UserError('has a step of 0');
      return { axis: normalizeAxis(axes?.[entry] ?? entry, rank), entry, start, end: ends[entry], step };
    }),
  };
}

/** First position and number of positions taken from an axis of `length`; starts and ends past its limits are cut to them. */
function taken({ start, end, step }: AxisRange, length: number): { first: number; count: number } {
  const fromFront = (v: number): number => (v < 0 ? v + length : v);
  const clamp = (v: number, low: number, high: number): number => Math.min(high, Math.max(low, v));
  const first = step > 0 ? clamp(fromFront(start), 0, length) : clamp(fromFront(start), 0, length - 1);
  const last = step > 0 ? clamp(fromFront(end), 0, length) : clamp(fromFront(end), -1, length - 1);
  return { first, count: Math.max(0, Math.ceil((last - first) / step)) };
}

/** Length of a sliced axis whose own length is not known: it is the same where everything is taken. */
function openLength(d: Dim, { start, end, step }: AxisRange): Dim {
  if (typeof d === 'number') throw new Error('the length is known');
  if (step === 1 && start === 0 && end >= 2 ** 31 - 1) return d;
  return '';
}

const slice: Operator = {
  opTypes: ['Slice'],
  infer(context) {
    const input = context.inputs[0];
    const type = input?.type ?? 'float32';
    if (!input?.shape) return [{ type }];
    const ranges = rangesOf(context, input.shape.length);
    if (!ranges) return [{ type, shape: input.shape.map(() => '') }];
    const shape = [...input.shape];
    for (const range of ranges.axes) {
      const d = shape[range.axis];
      shape[range.axis] = typeof d === 'number' ? taken(range, d).count : openLength(d, range);
    }
    const numbers = foldable(input);
    if (!numbers || !input.value || !isStatic(shape)) return [{ type, shape }];
    const strides = stridesOf(input.value.dims);
    let offset = 0;
    for (const range of ranges.axes) {
      offset += taken(range, input.value.dims[range.axis]).first * strides[range.axis];
      strides[range.axis] *= range.step;
    }
    return [
      {
        type,
        shape,
        value: foldedTensor(
          type,
          shape,
          positions(shape, strides, offset).map((p) => numbers[p]),
        ),
      },
    ];
  },
  gradient(context, [dy]) {
    const { b, node } = context;
    const x = context.inputs[0]!;
    const ranges = rangesOf(withConstants(context), x.shape.length);
    if (!ranges) throw new UserError(`Slice '${node.name || node.outputs[0]}' takes positions that are not constant`, NO_TRAINING);
    if (!dy) return [undefined];
    return [ranges.axes.reduce((gradient, range) => spreadOut(b, gradient, range, x.shape[range.axis]), dy)];
  },
  channels(context) {
    const shape = context.inputs[0]?.shape;
    if (!shape || isInitializer(context, 0)) return;
    const ranges = rangesOf(context, shape.length);
    if (!ranges) {
      freezeAxes(context, 'takes positions that are not known before the model runs');
      return;
    }
    for (let axis = 0; axis < shape.length; axis++) {
      const atoms = carried(context, 0, axis);
      const range = ranges.axes.find((r) => r.axis === axis);
      if (!atoms) continue;
      if (!range) {
        context.setOutput(0, axis, atoms);
        continue;
      }
      const { first, count } = taken(range, atoms.length);
      context.setOutput(
        0,
        axis,
        Int32Array.from({ length: count }, (_, i) => atoms[first + i * range.step]),
      );
      if (Math.abs(range.step) !== 1) context.freeze(atoms, `${nodeLabel(context)} takes only one in ${Math.abs(range.step)} of them`);
    }
  },
  shrink(context) {
    const shape = context.inputs[0]?.shape;
    const ranges = shape && rangesOf(context, shape.length);
    if (!ranges) return;
    const starts = ranges.starts.map(clampInteger);
    const ends = ranges.ends.map(clampInteger);
    let changed = false;
    for (const range of ranges.axes) {
      const length = shape[range.axis];
      const kept = context.keptInput(0, range.axis);
      if (!kept || typeof length !== 'number') continue;
      changed = true;
      const { first, count } = taken(range, length);
      const below = (position: number): number => kept.filter((p) => p < position).length;
      if (range.step > 0) {
        starts[range.entry] = below(first);
        ends[range.entry] = below(first + count);
      } else {
        starts[range.entry] = below(first + 1) - 1;
        const last = below(first - count + 1) - 1;
        // "Before position 0" cannot be said as −1, which means the last one.
        ends[range.entry] = last >= 0 ? last : -(kept.length + 1);
      }
    }
    if (!changed) return;
    if (context.opset >= 10) {
      context.setInts(1, starts);
      context.setInts(2, ends);
    } else {
      context.setAttribute('starts', starts);
      context.setAttribute('ends', ends);
    }
  },
};

const NO_TRAINING = 'Freeze the layers before it, or run without fine-tuning.';

const clampInteger = (v: number): number => Math.min(Number.MAX_SAFE_INTEGER, Math.max(-Number.MAX_SAFE_INTEGER, v));

/** The gradient of one sliced axis: each element back at its place, zeros between. */
function spreadOut(b: GraphBuilder, dy: Value, range: AxisRange, length: number): Value {
  const { first, count } = taken(range, length);
  const { axis } = range;
  const width = Math.abs(range.step);
  let gradient = dy;
  let start = first;
  if (range.step < 0) {
    gradient = b.op('Slice', [gradient, b.ints([-1]), b.ints([-(count + 1)]), b.ints([axis]), b.ints([-1])]);
    start = first + (count - 1) * range.step;
  }
  if (width > 1) {
    // Each element followed by width − 1 zeros: a new axis padded, and merged.
    const apart = [...gradient.shape.slice(0, axis + 1), 1, ...gradient.shape.slice(axis + 1)];
    const padded = b.op('Pad', [reshapeTo(b, gradient, apart), padInts(b, apart.length, axis + 1, 0, width - 1)]);
    gradient = reshapeTo(
      b,
      padded,
      gradient.shape.map((d, at) => (at === axis ? d * width : d)),
    );
  }
  const behind = length - start - count * width;
  if (start === 0 && behind === 0) return gradient;
  return b.op('Pad', [gradient, padInts(b, gradient.shape.length, axis, start, behind)]);
}

const padInts = (b: GraphBuilder, rank: number, axis: number, before: number, behind: number): Value =>
  b.ints(Array.from({ length: 2 * rank }, (_, i) => (i === axis ? before : i === rank + axis ? behind : 0)));

export const slices: readonly Operator[] = [slice];
