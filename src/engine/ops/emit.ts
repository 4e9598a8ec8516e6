/**
 * Nodes that backward passes are made of, with their output shapes worked out here. Each leaves out the node where it would change
 * nothing. Forms are those of operator sets 13 and later.
 */
import type { GraphBuilder, Value } from './builder';
import { positions } from './window';

const MICROSOFT = 'com.microsoft';

const equal = (a: readonly number[], b: readonly number[]): boolean => a.length === b.length && a.every((d, i) => d === b[i]);

/** Whole numbers from `from` up to, not including, `to`. */
export const range = (from: number, to: number): number[] => Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);

/** The same elements under another shape. */
export function reshape(b: GraphBuilder, x: Value, shape: readonly number[]): Value {
  if (equal(x.shape, shape)) return x;
  return b.op('Reshape', [x, b.ints(shape)], {}, { types: [{ type: x.type, shape }] });
}

/** Axis i of the result is axis order[i] of x. */
export function transpose(b: GraphBuilder, x: Value, order: readonly number[]): Value {
  const shape = order.map((axis) => x.shape[axis]);
  // Moving only axes of length 1 leaves the elements where they are.
  const long = (axes: readonly number[]): number[] => axes.filter((axis) => x.shape[axis] !== 1);
  if (equal(long(order), long(range(0, order.length)))) return reshape(b, x, shape);
  return b.op('Transpose', [x], { perm: order }, { types: [{ type: x.type, shape }] });
}

/** Every `step`-th position from `start`, `count` of them, along each of the axes given. */
export function slice(
  b: GraphBuilder,
  x: Value,
  axes: readonly number[],
  starts: readonly number[],
  counts: readonly number[],
  steps: readonly number[] = axes.map(() => 1),
): Value {
  const shape = [...x.shape];
  axes.forEach((axis, i) => {
    shape[axis] = counts[i];
  });
  if (equal(shape, x.shape)) return x;
  const ends = starts.map((start, i) => start + steps[i] * (counts[i] - 1) + 1);
  const inputs = [x, b.ints(starts), b.ints(ends), b.ints(axes), ...(steps.some((s) => s !== 1) ? [b.ints(steps)] : [])];
  return b.op('Slice', inputs, {}, { types: [{ type: x.type, shape }] });
}

/** Reverses the order along the axes given. */
export function flip(b: GraphBuilder, x: Value, axes: readonly number[]): Value {
  const long = axes.filter((axis) => x.shape[axis] > 1);
  if (long.length === 0) return x;
  const all = (value: number): Value => b.ints(long.map(() => value));
  // The end -(2^31) means "past the first element" whatever the length.
  return b.op('Slice', [x, all(-1), all(-(2 ** 31)), b.ints(long), all(-1)], {}, { types: [x] });
}

/** Zeros added before and after along every axis; negative counts cut off. */
export function pad(b: GraphBuilder, x: Value, before: readonly number[], after: readonly number[]): Value {
  if ([...before, ...after].every((p) => p === 0)) return x;
  const shape = x.shape.map((d, i) => d + before[i] + after[i]);
  return b.op('Pad', [x, b.ints([...before, ...after])], {}, { types: [{ type: x.type, shape }] });
}

export function concat(b: GraphBuilder, parts: readonly Value[], axis: number): Value {
  if (parts.length === 1) return parts[0];
  const shape = parts[0].shape.map((d, i) => (i === axis ? parts.reduce((sum, p) => sum + p.shape[i], 0) : d));
  return b.op('Concat', parts, { axis }, { types: [{ type: parts[0].type, shape }] });
}

/** Sum over the axes given, which are dropped unless `keep`. */
export function reduceSum(b: GraphBuilder, x: Value, axes: readonly number[], keep = false): Value {
  if (axes.length === 0) return x;
  const shape = x.shape.map((d, i) => (axes.includes(i) ? 1 : d)).filter((_, i) => keep || !axes.includes(i));
  if (axes.every((axis) => x.shape[axis] === 1)) return reshape(b, x, shape);
  return b.op('ReduceSum', [x, b.ints(axes)], { keepdims: keep ? 1 : 0 }, { types: [{ type: x.type, shape }] });
}

/** An elementwise operator of two operands that broadcast as ONNX says (lengths aligned at the end; 1 stretches). */
export function binary(b: GraphBuilder, opType: 'Add' | 'Sub' | 'Mul' | 'Div', x: Value, y: Value): Value {
  const rank = Math.max(x.shape.length, y.shape.length);
  const length = (v: Value, axis: number): number => v.shape[axis - rank + v.shape.length] ?? 1;
  const shape = range(0, rank).map((axis) => (length(x, axis) === 1 ? length(y, axis) : length(x, axis)));
  return b.op(opType, [x, y], {}, { types: [{ type: x.type, shape }] });
}

/** x times a plain number. */
export const scale = (b: GraphBuilder, x: Value, factor: number): Value => (factor === 1 ? x : binary(b, 'Mul', x, b.scalar(factor)));

/** Copies stretched to `shape`. */
export function expand(b: GraphBuilder, x: Value, shape: readonly number[]): Value {
  if (equal(x.shape, shape)) return x;
  return b.op('Expand', [x, b.ints(shape)], {}, { types: [{ type: x.type, shape }] });
}

/**
 * Batched matrix product of the last two axes, either operand transposed on the fly (no copy is made of it). Leading axes broadcast.
 * onnxruntime's own operator: the standard MatMul would need a Transpose, a pass over memory.
 */
export function matMul(b: GraphBuilder, left: Value, right: Value, options: { transLeft?: boolean; transRight?: boolean } = {}): Value {
  const [rows, cols] = [left.shape.at(options.transLeft ? -1 : -2)!, right.shape.at(options.transRight ? -2 : -1)!];
  const rank = Math.max(left.shape.length, right.shape.length) - 2;
  const length = (v: Value, axis: number): number => v.shape[axis - rank + v.shape.length - 2] ?? 1;
  const batch = range(0, rank).map((axis) => (length(left, axis) === 1 ? length(right, axis) : length(left, axis)));
  const types = [{ type: left.type, shape: [...batch, rows, cols] }];
  if (!options.transLeft && !options.transRight) return b.op('MatMul', [left, right], {}, { types });
  const attributes = { transA: options.transLeft ? 1 : 0, transB: options.transRight ? 1 : 0 };
  return b.op('FusedMatMul', [left, right], attributes, { types, domain: MICROSOFT });
}

/** alpha · left' · right' of two matrices. */
export function gemm(
  b: GraphBuilder,
  left: Value,
  right: Value,
  options: { transLeft?: boolean; transRight?: boolean; alpha?: number } = {},
): Value {
  const shape = [left.shape[options.transLeft ? 1 : 0], right.shape[options.transRight ? 0 : 1]];
  const attributes = { transA: options.transLeft ? 1 : 0, transB: options.transRight ? 1 : 0, alpha: { float: options.alpha ?? 1 } };
  return b.op('Gemm', [left, right], attributes, { types: [{ type: left.type, shape }] });
}

/**
 * Every element of the spatial axes (those from axis 2 on) repeated `steps` times. Resize has a kernel for it; Expand between axes of
 * length 1 takes 100 times as long (0.09 ms against 11.7 for [128, 6, 14, 14] doubled, one thread).
 */
export function repeatElements(b: GraphBuilder, x: Value, steps: readonly number[]): Value {
  if (steps.every((s) => s === 1)) return x;
  const [batch, channels, ...spatial] = x.shape;
  const lengths = spatial.map((d, i) => d * steps[i]);
  // The fast kernel is the one for two spatial axes.
  const flat = spatial.length === 1;
  const scales = Float32Array.from([1, 1, ...(flat ? [1] : []), ...steps]);
  const resized = b.op(
    'Resize',
    [flat ? reshape(b, x, [batch, channels, 1, ...spatial]) : x, undefined, b.floats(b.fresh('scales'), [scales.length], scales)],
    { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' },
    { types: [{ type: x.type, shape: [batch, channels, ...(flat ? [1] : []), ...lengths] }] },
  );
  return reshape(b, resized, [batch, channels, ...lengths]);
}

/**
 * Zeros between neighbours: element i of a spatial axis moves to position i · step, and each length becomes length · step.
 * Repeating and masking is 40 times faster than padding axes of length 1 (0.15 ms against 5.9 for [128, 6, 14, 14] doubled).
 */
export function spreadWithZeros(b: GraphBuilder, x: Value, steps: readonly number[]): Value {
  if (steps.every((s) => s === 1)) return x;
  const repeated = repeatElements(b, x, steps);
  const lengths = repeated.shape.slice(2);
  const mask = Float32Array.from(positions(lengths), (at) => (at.every((p, i) => p % steps[i] === 0) ? 1 : 0));
  return binary(b, 'Mul', repeated, b.floats(b.fresh('mask'), lengths, mask));
}
