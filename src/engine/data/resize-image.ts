/**
 * Resizing as Pillow's `Image.resize` does, to the last bit: a filter that widens where the image shrinks (antialiasing), along rows and along columns, in whole numbers with 22 bits behind the point (Pillow's Resample.c). torchvision's and timm's usual transforms on PIL images give the same pixels.
 */
import type { RgbImage } from './decode-image';

export type Interpolation = 'bilinear' | 'bicubic';

/** Bits behind the point: 32 less 8 for a byte and 2 for the sum of a filter with negative lobes. */
const PRECISION = 22;
const HALF = 1 << (PRECISION - 1);

const filters: Readonly<Record<Interpolation, { readonly support: number; weight(x: number): number }>> = {
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  // Keys' cubic with a = −0.5.
  bicubic: {
    support: 2,
    weight(signed) {
      const x = Math.abs(signed);
      if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
      return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
    },
  },
};

/** For each output position the first source position and the whole-number weights from there on. */
function weightsOf(from: number, to: number, interpolation: Interpolation): Array<{ first: number; weights: Int32Array }> {
  const { support, weight } = filters[interpolation];
  const scale = from / to;
  const stretch = Math.max(1, scale);
  const reach = support * stretch;
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5));
    const last = Math.min(from, Math.trunc(centre + reach + 0.5));
    const values = Array.from({ length: last - first }, (_w, k) => weight((k + first - centre + 0.5) / stretch));
    const sum = values.reduce((a, b) => a + b, 0);
    const fixed = values.map((v) => {
      const scaled = (v / sum) * 2 ** PRECISION;
      return Math.trunc(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
    });
    return { first, weights: Int32Array.from(fixed) };
  });
}

const byte = (sum: number): number => Math.max(0, Math.min(255, sum >> PRECISION));

/** The image at another size; the same image where it has that size. Lengths in pixels, 1 or more. */
export function resizeImage(image: RgbImage, width: number, height: number, interpolation: Interpolation = 'bilinear'): RgbImage {
  // Where one side grows and the other shrinks, Pillow (13) shrinks first.
  return width > image.width && height < image.height
    ? resizeRows(resizeColumns(image, height, interpolation), width, interpolation)
    : resizeColumns(resizeRows(image, width, interpolation), height, interpolation);
}

function resizeRows(image: RgbImage, width: number, interpolation: Interpolation): RgbImage {
  if (width === image.width) return image;
  const { data, height } = image;
  const out = new Uint8Array(width * height * 3);
  const columns = weightsOf(image.width, width, interpolation);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const { first, weights } = columns[x];
      let [r, g, b] = [HALF, HALF, HALF];
      for (let k = 0, i = (y * image.width + first) * 3; k < weights.length; k++, i += 3) {
        r += data[i] * weights[k];
        g += data[i + 1] * weights[k];
        b += data[i + 2] * weights[k];
      }
      const o = (y * width + x) * 3;
      out[o] = byte(r);
      out[o + 1] = byte(g);
      out[o + 2] = byte(b);
    }
  }
  return { width, height, data: out };
}

function resizeColumns(image: RgbImage, height: number, interpolation: Interpolation): RgbImage {
  if (height === image.height) return image;
  const { data, width } = image;
  const line = width * 3;
  const out = new Uint8Array(line * height);
  const rows = weightsOf(image.height, height, interpolation);
  for (let y = 0; y < height; y++) {
    const { first, weights } = rows[y];
    for (let i = 0; i < line; i++) {
      let sum = HALF;
      for (let k = 0; k < weights.length; k++) sum += data[(first + k) * line + i] * weights[k];
      out[y * line + i] = byte(sum);
    }
  }
  return { width, height, data: out };
}

/** Half of a whole number, to the nearest whole number, halves to the even one: as Python rounds. */
function roundedHalf(n: number): number {
  const low = Math.floor(n / 2);
  return n % 2 === 0 || low % 2 === 0 ? low : low + 1;
}

/** The middle of an image that is at least as large; where the margin is odd, the place that torchvision's `CenterCrop` takes. */
export function centreCrop(image: RgbImage, width: number, height: number): RgbImage {
  if (image.width === width && image.height === height) return image;
  const [left, top] = [roundedHalf(image.width - width), roundedHalf(image.height - height)];
  const out = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    const from = ((top + y) * image.width + left) * 3;
    out.set(image.data.subarray(from, from + width * 3), y * width * 3);
  }
  return { width, height, data: out };
}
