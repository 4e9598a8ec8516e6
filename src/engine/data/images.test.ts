import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { decodeImage, type RgbImage } from './decode-image';
import { centreCrop, type Interpolation, resizeImage } from './resize-image';

/** Made with Pillow by test/fixtures/images/make_images.py. */
const fixtures = join(__dirname, '../../../test/fixtures/images');
const expected = JSON.parse(readFileSync(join(fixtures, 'expected.json'), 'utf8')) as {
  width: number;
  height: number;
  decoded: Record<string, number[]>;
  resized: Array<{ width: number; height: number; interpolation: Interpolation; pixels: number[] }>;
  crops: Array<{ width: number; height: number; pixels: number[] }>;
};
const read = (name: string): Promise<RgbImage> => decodeImage(readFileSync(join(fixtures, name)), name);
const furthest = (a: ArrayLike<number>, b: ArrayLike<number>): number =>
  Array.from(a, (v, i) => Math.abs(v - b[i])).reduce((x, y) => Math.max(x, y), a.length === b.length ? 0 : Number.POSITIVE_INFINITY);

describe('decoding', () => {
  for (const [name, pixels] of Object.entries(expected.decoded)) {
    // JPEG's inverse transform is rounded in different ways; mozjpeg and Pillow's libjpeg-turbo are both within the standard.
    const tolerance = name.endsWith('.jpg') ? 2 : 0;
    it(`${name} as Pillow reads it`, async () => {
      const image = await read(name);
      expect([image.width, image.height]).toEqual([expected.width, expected.height]);
      expect(furthest(image.data, pixels)).toBeLessThanOrEqual(tolerance);
    });
  }

  it('what cannot be read is named', async () => {
    await expect(decodeImage(Uint8Array.of(1, 2, 3), 'notes.png')).rejects.toMatchObject({
      name: 'UserError',
      message: 'notes.png is neither a JPEG nor a PNG file.',
    });
    const png = readFileSync(join(fixtures, 'rgb.png'));
    await expect(decodeImage(png.subarray(0, 200), 'cut.png')).rejects.toMatchObject({ name: 'UserError', message: /^cut\.png cannot be/ });
    const jpeg = readFileSync(join(fixtures, 'rgb.jpg'));
    await expect(decodeImage(jpeg.subarray(0, 60), 'cut.jpg')).rejects.toMatchObject({ name: 'UserError', message: /^cut\.jpg cannot be/ });
    await expect(read('cmyk.jpg')).rejects.toMatchObject({ name: 'UserError', message: /^cmyk\.jpg cannot be/ });
    // One that failed does not stop the next.
    expect((await read('rgb.jpg')).width).toBe(expected.width);
  });
});

describe('resizing', () => {
  for (const { width, height, interpolation, pixels } of expected.resized) {
    it(`to ${width}×${height}, ${interpolation}: Pillow's very pixels`, async () => {
      expect(furthest(resizeImage(await read('rgb.png'), width, height, interpolation).data, pixels)).toBe(0);
    });
  }

  it('to its own size gives the image itself', async () => {
    const image = await read('rgb.png');
    expect(resizeImage(image, image.width, image.height)).toBe(image);
  });

  for (const { width, height, pixels } of expected.crops) {
    it(`centre crop to ${width}×${height}: torchvision's place`, async () => {
      expect(furthest(centreCrop(await read('rgb.png'), width, height).data, pixels)).toBe(0);
    });
  }
});
