/** Data sets from NumPy arrays: a pair of .npy files or members of a .npz archive, with labels or without. */

import { UserError } from '../errors';
import type { Dataset, Targets } from './dataset';
import type { NpyArray } from './npy';

/** Where the channels of images lie: as models want them (first), last, or decided by the shape. */
export type ArrayLayout = 'auto' | 'channels-first' | 'channels-last';

/** An array and what errors call it, e.g. `digits.npz › x_train`. */
export interface NamedArray {
  readonly name: string;
  readonly array: NpyArray;
}

const isChannelCount = (n: number) => n === 1 || n === 3 || n === 4;

/**
 * A data set from inputs [count, …] and labels [count] or [count, 1].
 * Grey images without a channel axis, bytes [count, height, width], get one; images with channels last are turned to channels first: with layout
 * 'auto' where the last of four axes is 1, 3 or 4 long and the second is not. Throws a UserError where shapes or label values cannot be right.
 */
export function datasetFromArrays(name: string, inputs: NamedArray, labels?: NamedArray, layout: ArrayLayout = 'auto'): Dataset {
  const { shape, values } = inputs.array;
  if (shape.length < 2 || shape.some((n) => n === 0)) {
    throw new UserError(
      `${inputs.name} has the shape (${shape.join(', ')}), expected the number of samples and then the shape of one sample.`,
      'Save an array such as [count, channels, height, width].',
    );
  }
  const count = shape[0];
  let sample = shape.slice(1);
  let data: Uint8Array | Float32Array = values instanceof Int32Array ? Float32Array.from(values) : values;
  if (sample.length === 2 && values instanceof Uint8Array) sample = [1, ...sample];
  const last =
    shape.length === 4 && (layout === 'channels-last' || (layout === 'auto' && isChannelCount(shape[3]) && !isChannelCount(shape[1])));
  if (last) {
    data = channelsFirst(data, count, shape[1] * shape[2], shape[3]);
    sample = [shape[3], shape[1], shape[2]];
  }
  const unlabelled: Dataset = { name, count, shape: sample, inputs: data };
  return labels === undefined ? unlabelled : { ...unlabelled, ...arrayTruth(labels, inputs.name, count) };
}

function channelsFirst(values: Uint8Array | Float32Array, count: number, positions: number, channels: number): Uint8Array | Float32Array {
  const out = values instanceof Uint8Array ? new Uint8Array(values.length) : new Float32Array(values.length);
  for (let i = 0; i < count; i++) {
    const image = i * positions * channels;
    for (let p = 0; p < positions; p++)
      for (let c = 0; c < channels; c++) out[image + c * positions + p] = values[image + p * channels + c];
  }
  return out;
}

/**
 * What samples are held against: class numbers [count] or [count, 1], one-hot rows [count, classes], or targets: [count, values] of anything else, and
 * [count] of numbers that are no classes (regression). Throws a UserError where there is not one row a sample.
 */
export function arrayTruth(
  { name, array }: NamedArray,
  inputs: string,
  count: number,
): { labels: Int32Array; classes: number } | { targets: Targets } {
  const { shape, values, type } = array;
  if (shape[0] !== count || values.length === 0) {
    throw new UserError(
      `${name} has the shape (${shape.join(', ')}), expected one label for each of the ${count} samples of ${inputs}.`,
      'Save class numbers, shape (count,), or one row of values for each sample.',
    );
  }
  const width = values.length / count;
  const targets = (): { targets: Targets } => ({ targets: { outputs: [{ width, values: Float32Array.from(values) }] } });
  if (width > 1) return oneHot(values, width) ?? targets();
  const labels = new Int32Array(count);
  let largest = 0;
  for (let i = 0; i < count; i++) {
    const value = values[i];
    if (!Number.isInteger(value) || value < 0) {
      // Floats that are no class numbers are values to be met; integers below 0 are a mistake more often.
      if (type === 'f4' || type === 'f8') return targets();
      throw new UserError(
        `${name} has the label ${value} at position ${i}, expected a class number from 0.`,
        'Save class numbers counted from 0, or values for regression as floats.',
      );
    }
    labels[i] = value;
    if (value > largest) largest = value;
  }
  return { labels, classes: largest + 1 };
}

/** The classes of rows that are 1 in one place and 0 elsewhere. */
function oneHot(values: ArrayLike<number>, width: number): { labels: Int32Array; classes: number } | undefined {
  const labels = new Int32Array(values.length / width).fill(-1);
  for (let i = 0; i < values.length; i++) {
    if (values[i] === 0) continue;
    const row = Math.floor(i / width);
    if (values[i] !== 1 || labels[row] >= 0) return undefined;
    labels[row] = i % width;
  }
  return labels.includes(-1) ? undefined : { labels, classes: width };
}
