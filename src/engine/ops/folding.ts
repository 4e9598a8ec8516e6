/**
 * Constant values computed while types are inferred, so that the chains by which exporters compute shapes
 * (Shape → Gather → Concat → Reshape) resolve. Only small tensors are folded.
 *
 * A folded tensor has the name '': that tells it from an initializer, whose tensor has the name of the value.
 */
import { type DataType, elementCount, isFloat, Tensor } from '../onnx/tensor';
import { isStatic } from './axes';
import { broadcastShapes } from './broadcast';
import type { ValueType } from './operator';

/** Largest tensor that is folded, in elements. */
export const FOLD_LIMIT = 4096;

/** Types whose constants are read; `foldedTensor` makes some of them. */
const FOLDED_TYPES: ReadonlySet<DataType> = new Set(['int64', 'int32', 'float32', 'float64', 'bool', 'uint8', 'int8']);

const INT64_MAX = 2n ** 63n - 1n;
const INT64_MIN = -(2n ** 63n);

function toInt64(value: number): bigint {
  // Infinities and numbers past the range arise from slice ends such as INT64_MAX, which a double cannot hold.
  if (value >= 2 ** 63) return INT64_MAX;
  if (value <= -(2 ** 63)) return INT64_MIN;
  return BigInt(Math.trunc(value));
}

/** A tensor of the given numbers, or undefined where it is too large, not a number, or of a type that is not folded. */
export function foldedTensor(type: DataType, dims: readonly number[], values: readonly number[]): Tensor | undefined {
  if (values.length > FOLD_LIMIT || values.length !== elementCount(dims)) return undefined;
  const make = (data: ArrayBufferView): Tensor => new Tensor('', type, dims, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  switch (type) {
    case 'int64':
      return values.some(Number.isNaN) ? undefined : make(BigInt64Array.from(values, toInt64));
    case 'int32':
      return make(Int32Array.from(values));
    case 'float32':
      return make(Float32Array.from(values));
    case 'float64':
      return make(Float64Array.from(values));
    case 'bool':
      return make(Uint8Array.from(values, (v) => (v ? 1 : 0)));
    default:
      return undefined;
  }
}

/**
 * The input's constant as numbers, where it may be folded: it is small, and no weight. A float initializer is one unless it is a
 * scalar: a bias that passes a Reshape must stay a weight that is trained and cut, not become a number.
 */
export function foldable(input: ValueType | undefined): number[] | undefined {
  const value = input?.value;
  if (!value || value.size > FOLD_LIMIT || !FOLDED_TYPES.has(value.type)) return undefined;
  if (isFloat(value.type) && value.name !== '' && value.dims.length > 0) return undefined;
  return value.numbers();
}

/** Elementwise result over broadcast constants; undefined where one of them is not known. */
export function foldElementwise(
  inputs: ReadonlyArray<ValueType | undefined>,
  type: DataType,
  compute: (...values: number[]) => number,
): Tensor | undefined {
  const dims = broadcastShapes(inputs.map((i) => i?.shape));
  if (!isStatic(dims) || elementCount(dims) > FOLD_LIMIT) return undefined;
  const columns: number[][] = [];
  for (const input of inputs) {
    const numbers = foldable(input);
    if (!input?.value || !numbers) return undefined;
    columns.push(spread(numbers, input.value.dims, dims));
  }
  return foldedTensor(
    type,
    dims,
    Array.from({ length: elementCount(dims) }, (_, i) => compute(...columns.map((c) => c[i]))),
  );
}

/** Elements of a tensor of shape `from` repeated to the shape `to` by the broadcasting rule. */
export function spread(values: readonly number[], from: readonly number[], to: readonly number[]): number[] {
  const lead = to.length - from.length;
  const strides = new Array<number>(to.length).fill(0);
  for (let axis = from.length - 1, stride = 1; axis >= 0; stride *= from[axis], axis--) if (from[axis] !== 1) strides[axis + lead] = stride;
  return positions(to, strides).map((p) => values[p]);
}

/** Offsets, in row-major order of `dims`, of elements that lie `strides` apart, from `start` on. */
export function positions(dims: readonly number[], strides: readonly number[], start = 0): number[] {
  let offsets = [start];
  for (let axis = 0; axis < dims.length; axis++)
    offsets = offsets.flatMap((base) => Array.from({ length: dims[axis] }, (_, i) => base + i * strides[axis]));
  return offsets;
}

/** Row-major strides, in elements. */
export function stridesOf(dims: readonly number[]): number[] {
  const strides = new Array<number>(dims.length).fill(1);
  for (let axis = dims.length - 2; axis >= 0; axis--) strides[axis] = strides[axis + 1] * dims[axis + 1];
  return strides;
}
