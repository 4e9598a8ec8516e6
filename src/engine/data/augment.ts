/**
 * Samples to model inputs: random changes (training images only), then normalisation, in one pass over each image.
 *
 * Rotation, scale, shear and elastic distortion, and a shift beside them, are one map from output to source pixels, sampled once, bilinearly. Crop, flip, and a
 * shift alone, move whole pixels, so they change no value. What lies outside the image is black (raw 0). Jitter changes the inputs themselves.
 */

import { UserError } from '../errors';
import type { Random } from '../random';
import type { Augmentation, Normalization } from './dataset';
import { SmoothField } from './displacement';
import { type ChannelFactors, channelFactors, channelsOf } from './normalize';

type Values = Uint8Array | Float32Array;

/** Writes one sample after another, each with its own draws from the Random it is given. */
export class SampleWriter {
  /** Values of one sample. */
  readonly size: number;
  /** True where samples are changed at random, and `write` needs a Random. */
  readonly draws: boolean;
  private readonly channels: number;
  private readonly height: number;
  private readonly width: number;
  private readonly factors: ChannelFactors;
  /** Model input of each byte value, 256 a channel. */
  private readonly byteInputs: Float32Array;
  /** True where images are resampled (rotate, scale, shear, elastic), which costs several milliseconds a batch. */
  readonly bends: boolean;
  private readonly field?: SmoothField;
  private readonly across: Float32Array;
  private readonly down: Float32Array;

  constructor(
    shape: readonly number[],
    normalization: Normalization,
    private readonly augmentation: Augmentation = {},
  ) {
    this.size = shape.reduce((a, b) => a * b, 1);
    this.channels = channelsOf(shape);
    const image = shape.length === 3;
    this.height = image ? shape[1] : 1;
    this.width = image ? shape[2] : this.size;
    this.factors = channelFactors(normalization, shape);
    const { factor, offset } = this.factors;
    this.byteInputs = Float32Array.from({ length: 256 * this.channels }, (_, i) => (i & 255) * factor[i >> 8] + offset[i >> 8]);

    const { shift = 0, crop = 0, flip = false, rotate = 0, scale = 0, shear = 0, jitter = 0, elastic } = augmentation;
    for (const [field, value] of Object.entries({ shift, crop, rotate, scale, shear, jitter, alpha: elastic?.alpha ?? 0 })) {
      if (!(value >= 0))
        throw new UserError(`The augmentation's ${field} is ${value}; it must be 0 or above.`, 'Leave the field out to switch it off.');
    }
    if (!Number.isInteger(crop))
      throw new UserError(`The augmentation's crop is ${crop}; it counts whole pixels.`, 'CIFAR-10 is usually cropped by 4.');
    if (scale >= 1) throw new UserError(`The augmentation's scale is ${scale}; it must be below 1.`, '0.1 scales by 0.9 to 1.1.');
    if (elastic && !(elastic.sigma >= 1)) {
      throw new UserError(
        `The augmentation's elastic sigma is ${elastic.sigma} pixels; it must be 1 or above.`,
        'Simard 2003 uses 4 for 29×29 digits.',
      );
    }
    this.bends = rotate > 0 || scale > 0 || shear > 0 || (elastic?.alpha ?? 0) > 0;
    this.draws = this.bends || shift > 0 || crop > 0 || flip || jitter > 0;
    if (this.draws && !image) {
      throw new UserError(
        `The augmentation changes images (channels, height, width), but samples have the shape ${shape.join('×')}.`,
        'Remove the augmentation from the config.',
      );
    }
    if (elastic && elastic.alpha > 0) this.field = new SmoothField(this.width, this.height, elastic.sigma);
    this.across = new Float32Array(this.field ? this.height * this.width : 0);
    this.down = new Float32Array(this.field ? this.height * this.width : 0);
  }

  /** One sample at source[from …] to model inputs at target[to …]; changed at random where a Random is passed. */
  write(source: Values, from: number, target: Float32Array, to: number, random?: Random): void {
    if (!this.draws || random === undefined) this.plain(source, from, target, to);
    else if (this.bends) this.bent(source, from, target, to, random);
    else this.moved(source, from, target, to, random);
    if (random !== undefined) this.jittered(target, to, random);
  }

  private plain(source: Values, from: number, target: Float32Array, to: number): void {
    const plane = this.size / this.channels;
    for (let c = 0; c < this.channels; c++) {
      const [first, out] = [from + c * plane, to + c * plane];
      if (source instanceof Uint8Array) {
        const inputs = this.byteInputs.subarray(c << 8, (c + 1) << 8);
        for (let i = 0; i < plane; i++) target[out + i] = inputs[source[first + i]];
      } else {
        const [a, b] = [this.factors.factor[c], this.factors.offset[c]];
        for (let i = 0; i < plane; i++) target[out + i] = source[first + i] * a + b;
      }
    }
  }

  /** The crop's place, in whole pixels from the centre. */
  private cropOffset(random: Random): number {
    const { crop = 0 } = this.augmentation;
    return crop > 0 ? random.below(2 * crop + 1) - crop : 0;
  }

  private moved(source: Values, from: number, target: Float32Array, to: number, random: Random): void {
    const { height, width, channels, byteInputs } = this;
    const { factor, offset } = this.factors;
    const { shift = 0, flip } = this.augmentation;
    const reach = Math.floor(shift);
    const shiftX = reach > 0 ? random.below(2 * reach + 1) - reach : 0;
    const shiftY = reach > 0 ? random.below(2 * reach + 1) - reach : 0;
    const dx = shiftX + this.cropOffset(random);
    const dy = shiftY + this.cropOffset(random);
    const flipped = flip === true && random.uniform() < 0.5;
    // Output columns left … right−1 have a source column; the others are black.
    const left = Math.min(width, Math.max(0, -dx));
    const right = Math.max(left, Math.min(width, width - dx));
    for (let c = 0; c < channels; c++) {
      const [a, b] = [factor[c], offset[c]];
      for (let y = 0; y < height; y++) {
        const line = to + (c * height + y) * width;
        const sourceY = y + dy;
        const inside = sourceY >= 0 && sourceY < height;
        if (!inside || left > 0 || right < width) target.fill(b, line, line + width);
        if (!inside) continue;
        const sourceLine = from + (c * height + sourceY) * width + dx;
        const [start, step] = flipped ? [line + width - 1 - left, -1] : [line + left, 1];
        if (source instanceof Uint8Array) {
          for (let x = left, out = start; x < right; x++, out += step) target[out] = byteInputs[(c << 8) | source[sourceLine + x]];
        } else {
          for (let x = left, out = start; x < right; x++, out += step) target[out] = source[sourceLine + x] * a + b;
        }
      }
    }
  }

  /** One gain for the whole sample, one offset for each channel, as if the light had been another. */
  private jittered(target: Float32Array, to: number, random: Random): void {
    const { jitter = 0 } = this.augmentation;
    if (jitter === 0) return;
    const gain = 1 + jitter * random.normal();
    const plane = this.size / this.channels;
    for (let c = 0; c < this.channels; c++) {
      const offset = jitter * random.normal();
      const first = to + c * plane;
      for (let i = first; i < first + plane; i++) target[i] = target[i] * gain + offset;
    }
  }

  private bent(source: Values, from: number, target: Float32Array, to: number, random: Random): void {
    const { height, width, channels, across, down, field } = this;
    const { factor, offset } = this.factors;
    const { shift = 0, rotate = 0, scale = 0, shear = 0, flip, elastic } = this.augmentation;
    const angle = (random.between(-rotate, rotate) * Math.PI) / 180;
    const zoom = 1 / (1 + random.between(-scale, scale));
    const slant = random.between(-shear, shear);
    const [cosine, sine] = [Math.cos(angle) * zoom, Math.sin(angle) * zoom];
    // Output (x, y) from the centre reads source A·(x, y), A = rotation · shear / scale.
    const [xx, xy, yx, yy] = [cosine, cosine * slant - sine, sine, sine * slant + cosine];
    const shiftX = random.between(-shift, shift) + this.cropOffset(random);
    const shiftY = random.between(-shift, shift) + this.cropOffset(random);
    const flipped = flip === true && random.uniform() < 0.5;
    if (field && elastic) {
      field.draw(random, elastic.alpha);
      field.fill(across);
      field.draw(random, elastic.alpha);
      field.fill(down);
    }
    const [middleX, middleY] = [(width - 1) / 2, (height - 1) / 2];
    const plane = height * width;
    for (let y = 0, p = 0; y < height; y++) {
      for (let x = 0; x < width; x++, p++) {
        const [fromX, fromY] = [x - middleX, y - middleY];
        let sourceX = xx * fromX + xy * fromY + middleX + shiftX;
        let sourceY = yx * fromX + yy * fromY + middleY + shiftY;
        if (field) {
          sourceX += across[p];
          sourceY += down[p];
        }
        const out = to + (flipped ? y * width + width - 1 - x : p);
        const [x0, y0] = [Math.floor(sourceX), Math.floor(sourceY)];
        if (x0 < -1 || y0 < -1 || x0 >= width || y0 >= height) {
          for (let c = 0; c < channels; c++) target[out + c * plane] = offset[c];
          continue;
        }
        const [u, v] = [sourceX - x0, sourceY - y0];
        // A corner outside the image is black: it weighs nothing and reads a pixel that exists.
        const [l, r] = [x0 >= 0 ? 1 - u : 0, x0 + 1 < width ? u : 0];
        const [t, b] = [y0 >= 0 ? 1 - v : 0, y0 + 1 < height ? v : 0];
        const corner = from + Math.max(y0, 0) * width + Math.max(x0, 0);
        const right = x0 >= 0 && x0 + 1 < width ? 1 : 0;
        const below = y0 >= 0 && y0 + 1 < height ? width : 0;
        for (let c = 0; c < channels; c++) {
          const i = corner + c * plane;
          const value = t * (l * source[i] + r * source[i + right]) + b * (l * source[i + below] + r * source[i + below + right]);
          target[out + c * plane] = value * factor[c] + offset[c];
        }
      }
    }
  }
}
