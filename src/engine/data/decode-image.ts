/** JPEG and PNG files to pixels. Both decoders run everywhere Node does, without native code. */
import { UserError } from '../errors';

/** Red, green and blue, one byte each, row by row. */
export interface RgbImage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** Endings of files that are read as images. */
const ENDINGS = /\.(jpe?g|png)$/i;

export const isImagePath = (path: string): boolean => ENDINGS.test(path);

const isJpeg = (b: Uint8Array): boolean => b[0] === 0xff && b[1] === 0xd8 && b[2] === 0xff;
const isPng = (b: Uint8Array): boolean => b[0] === 0x89 && b[1] === 0x50 && b[2] === 0x4e && b[3] === 0x47;

/**
 * The pixels of an image file, told apart by its first bytes. As Pillow's `convert('RGB')` does, grey fills all three channels and transparency is left out;
 * a rotation noted by a camera (EXIF) is not applied; of 16 bits the upper 8 count.
 * @param name what errors call the file
 * @throws UserError where it is neither JPEG nor PNG, or damaged
 */
export async function decodeImage(bytes: Uint8Array, name: string): Promise<RgbImage> {
  if (!isJpeg(bytes) && !isPng(bytes)) {
    throw new UserError(`${name} is neither a JPEG nor a PNG file.`, 'Save it as one of the two.');
  }
  try {
    return isJpeg(bytes) ? await jpeg(bytes) : await png(bytes);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new UserError(
      `${name} cannot be decoded: ${why.split('\n')[0]}`,
      'Open and save it anew (JPEG in RGB or grey, or PNG), or take it out of the folder.',
      { cause },
    );
  }
}

async function jpeg(bytes: Uint8Array): Promise<RgbImage> {
  const { decodeJpeg } = await import('./mozjpeg');
  const { width, height, data } = await decodeJpeg(bytes);
  return { width, height, data: rgbOf(data, width * height, 4) };
}

async function png(bytes: Uint8Array): Promise<RgbImage> {
  const { decode, convertIndexedToRgb } = await import('fast-png');
  const decoded = decode(bytes);
  const { width, height } = decoded;
  if (decoded.palette) {
    // Four channels where an entry of the palette is transparent.
    const flat = convertIndexedToRgb(decoded);
    return { width, height, data: rgbOf(flat, width * height, flat.length / (width * height)) };
  }
  return { width, height, data: rgbOf(bytesOf(decoded), width * height, decoded.channels) };
}

/** One byte a value: 16 bits lose their lower half, and 1, 2 or 4 bits, several to a byte with rows that begin at whole bytes, are spread over 0 to 255. */
function bytesOf({ data, depth, width, height, channels }: PngValues): ArrayLike<number> {
  if (depth === 16) return Uint8Array.from(data, (v) => v >> 8);
  if (depth === 8) return data;
  const perRow = Math.ceil((width * channels * depth) / 8);
  const most = 2 ** depth - 1;
  const out = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const bit = x * depth;
      const value = (data[y * perRow + (bit >> 3)] >> (8 - depth - (bit & 7))) & most;
      out[y * width + x] = Math.round((value * 255) / most);
    }
  }
  return out;
}

interface PngValues {
  readonly data: Uint8Array | Uint8ClampedArray | Uint16Array;
  readonly depth: number;
  readonly width: number;
  readonly height: number;
  readonly channels: number;
}

/** The colours of pixels with 1 (grey), 2 (grey, alpha), 3 or 4 values each. */
function rgbOf(values: ArrayLike<number>, pixels: number, channels: number): Uint8Array {
  const out = new Uint8Array(pixels * 3);
  const grey = channels < 3;
  for (let p = 0; p < pixels; p++) for (let c = 0; c < 3; c++) out[3 * p + c] = values[p * channels + (grey ? 0 : c)];
  return out;
}
