/** Raw values to model inputs: (raw · scale − mean) / std for each channel. */

import { UserError } from '../errors';
import type { Normalization } from './dataset';

const PIXEL = 1 / 255;

/** Usual normalisations by name, for configs and defaults. Means and deviations are of the training part, pixels in [0, 1]. */
export const normalizations = {
  /** Values as they are. */
  raw: { scale: 1, mean: [0], std: [1] },
  /** Pixels to [0, 1]. */
  unit: { scale: PIXEL, mean: [0], std: [1] },
  /** Pixels to [−1, 1]. */
  centered: { scale: PIXEL, mean: [0.5], std: [0.5] },
  digits: { scale: PIXEL, mean: [0.109], std: [0.239] },
  mnist: { scale: PIXEL, mean: [0.1307], std: [0.3081] },
  'fashion-mnist': { scale: PIXEL, mean: [0.286], std: [0.353] },
  cifar10: { scale: PIXEL, mean: [0.4914, 0.4822, 0.4465], std: [0.247, 0.2435, 0.2616] },
  imagenet: { scale: PIXEL, mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
} as const satisfies Record<string, Normalization>;

export type NormalizationName = keyof typeof normalizations;

/** For each channel the two factors of value · factor + offset. */
export interface ChannelFactors {
  readonly factor: Float64Array;
  readonly offset: Float64Array;
}

/** How many channels a sample has, for normalisation: the first axis of images (three axes), else one for all values. */
export function channelsOf(shape: readonly number[]): number {
  return shape.length === 3 ? shape[0] : 1;
}

/** Factors for samples of this shape; one mean or deviation stands for all channels. Throws a UserError where their number does not fit or a deviation is not above 0. */
export function channelFactors({ scale, mean, std }: Normalization, shape: readonly number[]): ChannelFactors {
  const channels = channelsOf(shape);
  for (const [field, list] of [['mean', mean] as const, ['std', std] as const]) {
    if (list.length !== 1 && list.length !== channels) {
      throw new UserError(
        `The normalisation's ${field} has ${list.length} values, but samples of shape ${shape.join('×')} have ${channels} channel${channels === 1 ? '' : 's'}.`,
        `Give one value, or ${channels}.`,
      );
    }
  }
  const bad = std.find((s) => !(s > 0));
  if (bad !== undefined)
    throw new UserError(`The normalisation's std holds ${bad}; each must be above 0.`, 'Use 1 to leave the scale as it is.');
  const at = (list: readonly number[], c: number) => list[list.length === 1 ? 0 : c];
  return {
    factor: Float64Array.from({ length: channels }, (_, c) => scale / at(std, c)),
    offset: Float64Array.from({ length: channels }, (_, c) => -at(mean, c) / at(std, c)),
  };
}
