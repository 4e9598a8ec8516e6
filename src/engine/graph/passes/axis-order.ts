/** Orders of axes, as Transpose has them: axis i of the result is axis `perm[i]` of the input. */
import type { Shape } from '../../onnx/model';
import { elementCount, Tensor } from '../../onnx/tensor';

/** One permutation that does what `first` and then `second` do. */
export const compose = (first: readonly number[], second: readonly number[]): number[] => second.map((axis) => first[axis]);

export function invert(perm: readonly number[]): number[] {
  const inverse = new Array<number>(perm.length);
  for (const [to, from] of perm.entries()) inverse[from] = to;
  return inverse;
}

export const isIdentityOrder = (perm: readonly number[]): boolean => perm.every((axis, i) => axis === i);

/** True where the elements stay in their order in memory: all axes that are not of length 1 keep their order. */
export function movesOnlyOnes(shape: Shape, perm: readonly number[]): boolean {
  const long = perm.filter((axis) => shape[axis] !== 1);
  return long.every((axis, i) => i === 0 || long[i - 1] < axis);
}

/** A constant with its axes in another order; for types whose elements are whole bytes. */
export function transposedTensor(tensor: Tensor, perm: readonly number[]): Tensor {
  const { dims, size } = tensor;
  const target = perm.map((p) => dims[p]);
  if (size === 0) return tensor.reshaped(target);
  const width = tensor.bytes.byteLength / size;
  const steps = perm.map((p) => elementCount(dims.slice(p + 1)));
  const bytes = new Uint8Array(tensor.bytes.byteLength);
  const index = new Array<number>(dims.length).fill(0);
  for (let at = 0, from = 0; at < size; at++) {
    for (let b = 0; b < width; b++) bytes[at * width + b] = tensor.bytes[from * width + b];
    for (let axis = target.length - 1; axis >= 0; axis--) {
      from += steps[axis];
      if (++index[axis] < target[axis]) break;
      from -= steps[axis] * target[axis];
      index[axis] = 0;
    }
  }
  return new Tensor(tensor.name, tensor.type, target, bytes);
}
