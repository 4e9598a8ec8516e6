import { UserError } from '../errors';
import { bitsPerElement, Tensor } from './tensor';

/**
 * The tensor with only the given positions along one axis, in the given order.
 * @throws UserError for types whose elements are not whole bytes
 */
export function keepPositions(tensor: Tensor, axis: number, kept: readonly number[]): Tensor {
  const { dims } = tensor;
  const size = elementBytes(tensor);
  const outer = dims.slice(0, axis).reduce((a, b) => a * b, 1);
  const row = dims.slice(axis + 1).reduce((a, b) => a * b, 1) * size;
  const bytes = new Uint8Array(outer * kept.length * row);
  for (let o = 0, at = 0; o < outer; o++) {
    for (const k of kept) {
      const from = (o * dims[axis] + k) * row;
      bytes.set(tensor.bytes.subarray(from, from + row), at);
      at += row;
    }
  }
  return new Tensor(
    tensor.name,
    tensor.type,
    [...dims.slice(0, axis), kept.length, ...dims.slice(axis + 1)],
    bytes,
    undefined,
    tensor.unknown,
  );
}

/** The tensor with zeros at the given positions along one axis. @throws UserError for types whose elements are not whole bytes */
export function zeroPositions(tensor: Tensor, axis: number, positions: readonly number[]): Tensor {
  const { dims } = tensor;
  const size = elementBytes(tensor);
  const outer = dims.slice(0, axis).reduce((a, b) => a * b, 1);
  const row = dims.slice(axis + 1).reduce((a, b) => a * b, 1) * size;
  const bytes = new Uint8Array(tensor.bytes);
  for (let o = 0; o < outer; o++) {
    for (const p of positions) {
      const from = (o * dims[axis] + p) * row;
      bytes.fill(0, from, from + row);
    }
  }
  return new Tensor(tensor.name, tensor.type, dims, bytes, undefined, tensor.unknown);
}

function elementBytes(tensor: Tensor): number {
  const bits = bitsPerElement(tensor.type);
  if (bits === 0 || bits % 8 !== 0)
    throw new UserError(
      `weight '${tensor.name}' is of type ${tensor.type}, which cannot be cut`,
      'Prune the model before it is quantised.',
    );
  return bits / 8;
}
