/**
 * Float nodes whose output shape the caller knows, without asking the registry: losses, optimiser and quantisers are made of them.
 */
import type { AttributeValue } from '../onnx/model';
import { normalizeAxis } from '../ops/axes';
import type { GraphBuilder, Value } from '../ops/builder';

/** A float32 node of the given output shape. */
export const emit = (
  b: GraphBuilder,
  opType: string,
  inputs: ReadonlyArray<Value | undefined>,
  shape: readonly number[],
  attributes: Record<string, AttributeValue | undefined> = {},
  name?: string,
): Value => b.op(opType, inputs, attributes, { types: [{ type: 'float32', shape }], name });

/** The same elements under another shape. */
export const reshape = (b: GraphBuilder, value: Value, shape: readonly number[], name?: string): Value =>
  emit(b, 'Reshape', [value, b.ints(shape)], shape, {}, name);

/** The sum of all elements, as a scalar. */
export const total = (b: GraphBuilder, value: Value): Value =>
  emit(b, 'ReduceSum', [value, b.ints(value.shape.map((_, axis) => axis))], [], { keepdims: 0 });

/** Sums of squares along one axis (negative: from the end), over all others: [length of the axis]. */
export function energyAlong(b: GraphBuilder, value: Value, axis: number): Value {
  const { shape } = value;
  const kept = normalizeAxis(axis, shape.length);
  const others = shape.map((_, i) => i).filter((i) => i !== kept);
  return emit(b, 'ReduceSum', [emit(b, 'Mul', [value, value], shape), b.ints(others)], [shape[kept]], { keepdims: 0 });
}

/** 1 where the value is at least 0, else 0: one kernel, twice as fast as a comparison and a Cast. */
export const atLeastZero = (b: GraphBuilder, value: Value): Value =>
  emit(b, 'HardSigmoid', [value], value.shape, { alpha: { float: 1e30 }, beta: { float: 1 } });
