/**
 * The idx format of MNIST and Fashion-MNIST (LeCun, Cortes, Burges, "The MNIST database", file formats): two zero bytes, a type byte, the number of
 * dimensions, each dimension as a big-endian 32-bit number, then the values. Only unsigned bytes (type 8) occur in these data sets.
 */

import { UserError } from '../errors';
import type { Dataset } from './dataset';
import { readDataFile } from './files';

const UNSIGNED_BYTE = 8;

/** Values of an idx file. Throws a UserError where it is not idx, not of bytes, or not as long as its header says. */
export function readIdx(path: string): { readonly shape: readonly number[]; readonly values: Uint8Array } {
  const bytes = readDataFile(path);
  const again = 'Copy or download the file again; `espalier data mnist` fetches the original.';
  if (bytes.length < 4 || bytes[0] !== 0 || bytes[1] !== 0 || bytes[3] === 0) {
    const found = Array.from(bytes.subarray(0, 4), (b) => b.toString(16).padStart(2, '0')).join(' ') || 'an empty file';
    throw new UserError(`${path} is not an idx file: it should begin with the bytes 00 00 08 01 or 00 00 08 03, found ${found}.`, again);
  }
  if (bytes[2] !== UNSIGNED_BYTE) {
    throw new UserError(
      `${path} holds values of idx type ${bytes[2]}, expected unsigned bytes (type 8).`,
      'Convert other data to .npy or .npz.',
    );
  }
  const rank = bytes[3];
  const start = 4 + 4 * rank;
  if (bytes.length < start) throw new UserError(`${path} ends within its header: expected ${start} bytes, found ${bytes.length}.`, again);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const shape = Array.from({ length: rank }, (_, i) => view.getUint32(4 + 4 * i));
  const size = shape.reduce((a, b) => a * b, 1);
  if (bytes.length !== start + size) {
    throw new UserError(`${path} should have ${start + size} bytes for its shape ${shape.join('×')}, found ${bytes.length}.`, again);
  }
  return { shape, values: bytes.subarray(start) };
}

/** Images [count, 1, height, width] and their labels from a pair of idx files; without a label file the data set is unlabelled. */
export function readIdxDataset(name: string, imagesPath: string, labelsPath?: string): Dataset {
  const images = readIdx(imagesPath);
  if (images.shape.length !== 3) {
    throw new UserError(
      `${imagesPath} has ${images.shape.length} dimensions, expected 3 (images, rows, columns).`,
      'Are images and labels swapped?',
    );
  }
  const [count, height, width] = images.shape;
  const unlabelled = { name, count, shape: [1, height, width], inputs: images.values };
  if (labelsPath === undefined) return unlabelled;
  const labels = readIdx(labelsPath);
  if (labels.shape.length !== 1) {
    throw new UserError(`${labelsPath} has ${labels.shape.length} dimensions, expected 1 (labels).`, 'Are images and labels swapped?');
  }
  if (labels.shape[0] !== count) {
    throw new UserError(
      `${labelsPath} has ${labels.shape[0]} labels, expected ${count} as ${imagesPath} has images.`,
      'Take both from the same set.',
    );
  }
  return { ...unlabelled, labels: labels.values, classes: largest(labels.values) + 1 };
}

function largest(values: Uint8Array): number {
  let max = 0;
  for (const v of values) if (v > max) max = v;
  return max;
}
