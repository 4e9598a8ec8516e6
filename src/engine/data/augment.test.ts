import { describe, expect, it } from 'vitest';
import { Random } from '../random';
import { SampleWriter } from './augment';
import type { Augmentation } from './dataset';
import { SmoothField } from './displacement';
import { normalizations } from './normalize';
import { errorOf } from './testing/sample-files';

const raw = normalizations.raw;
const image = Uint8Array.from({ length: 2 * 6 * 6 }, (_, i) => 10 + i);

function draw(
  augmentation: Augmentation,
  seed: number,
  source: Uint8Array | Float32Array = image,
  shape = [2, 6, 6],
  normalization = raw as typeof raw | { scale: number; mean: number[]; std: number[] },
): Float32Array {
  const writer = new SampleWriter(shape, normalization, augmentation);
  const out = new Float32Array(writer.size).fill(Number.NaN);
  writer.write(source, 0, out, 0, new Random(seed));
  return out;
}

/** The image moved so that output (x, y) shows source (x + dx, y + dy), mirrored or not. */
function moved(dx: number, dy: number, mirrored: boolean): number[] {
  const out: number[] = [];
  for (let c = 0; c < 2; c++)
    for (let y = 0; y < 6; y++)
      for (let x = 0; x < 6; x++) {
        const [sx, sy] = [(mirrored ? 5 - x : x) + dx, y + dy];
        out.push(sx >= 0 && sx < 6 && sy >= 0 && sy < 6 ? image[c * 36 + sy * 6 + sx] : 0);
      }
  return out;
}

describe('normalisation', () => {
  it('gives (raw · scale − mean) / std for each channel, for bytes and floats', () => {
    const normalization = { scale: 0.5, mean: [1, 2], std: [2, 4] };
    const writer = new SampleWriter([2, 1, 2], normalization);
    const out = new Float32Array(4);
    writer.write(Uint8Array.of(9, 2, 4, 6, 8), 1, out, 0);
    expect([...out]).toEqual([0, 0.5, 0.25, 0.5]);
    writer.write(Float32Array.of(2, 4, 6, 8), 0, out, 0);
    expect([...out]).toEqual([0, 0.5, 0.25, 0.5]);
  });

  it('refuses what does not fit', () => {
    expect(errorOf(() => new SampleWriter([1, 2, 2], { scale: 1, mean: [0, 0, 0], std: [1] })).message).toMatch(
      /mean has 3 values, but samples of shape 1×2×2 have 1 channel/,
    );
    expect(errorOf(() => new SampleWriter([1, 2, 2], { scale: 1, mean: [0], std: [0] })).message).toMatch(/std holds 0/);
  });
});

describe('augmentation', () => {
  it('jitter gives a sample one gain, and each channel an offset, of the deviation asked for', () => {
    const lines = Array.from({ length: 2000 }, (_, seed) => {
      const out = draw({ jitter: 0.2 }, seed);
      return [0, 1].map((c) => {
        const slope = (out[c * 36 + 35] - out[c * 36]) / 35;
        for (let i = 0; i < 36; i++) expect(out[c * 36 + i]).toBeCloseTo(out[c * 36] + i * slope, 3);
        return { slope, offset: out[c * 36] - image[c * 36] * slope };
      });
    });
    const deviation = (values: readonly number[]): number => {
      const mean = values.reduce((a, v) => a + v, 0) / values.length;
      return Math.sqrt(values.reduce((a, v) => a + (v - mean) ** 2, 0) / values.length);
    };
    for (const [a, b] of lines) expect(a.slope).toBeCloseTo(b.slope, 5);
    // Of 2,000 draws the deviation is known to 1.6 %.
    const near = (values: readonly number[], expected: number): void =>
      expect(Math.abs(deviation(values) / expected - 1)).toBeLessThan(0.06);
    near(
      lines.map(([a]) => a.slope),
      0.2,
    );
    for (const c of [0, 1])
      near(
        lines.map((l) => l[c].offset),
        0.2,
      );
    near(
      lines.map(([a, b]) => a.offset - b.offset),
      0.2 * Math.SQRT2,
    );
  });

  it('jitter follows what moves pixels, whose draws it leaves as they are', () => {
    const both = draw({ flip: true, crop: 2, jitter: 0.1 }, 5);
    const one = draw({ flip: true, crop: 2 }, 5);
    const gain = (both[20] - both[14]) / (one[20] - one[14]);
    expect(gain).not.toBe(1);
    for (let i = 0; i < 36; i++) expect(both[i] - both[0]).toBeCloseTo(gain * (one[i] - one[0]), 3);
  });

  it('without a Random, or with nothing to change, leaves the image as it is', () => {
    const writer = new SampleWriter([2, 6, 6], raw, { rotate: 30, crop: 2 });
    const out = new Float32Array(72);
    writer.write(image, 0, out, 0);
    expect([...out]).toEqual([...image]);
    expect([...draw({}, 1)]).toEqual([...image]);
  });

  it('crops from a black border and flips: every place, both ways, nothing else', () => {
    const expected = new Map<string, string>();
    for (let dx = -2; dx <= 2; dx++)
      for (let dy = -2; dy <= 2; dy++) for (const m of [false, true]) expected.set(moved(dx, dy, m).join(), `${dx},${dy},${m}`);
    const seen = new Set<string | undefined>();
    for (let seed = 0; seed < 600; seed++) seen.add(expected.get([...draw({ crop: 2, flip: true }, seed)].join()));
    expect(seen.has(undefined)).toBe(false);
    expect(seen.size).toBe(50);
    const shifted = new Set<string>();
    for (let seed = 0; seed < 200; seed++)
      shifted.add(expected.get([...draw({ shift: 1 }, seed, Float32Array.from(image))].join()) ?? 'other');
    expect([...shifted].sort()).toEqual([
      '-1,-1,false',
      '-1,0,false',
      '-1,1,false',
      '0,-1,false',
      '0,0,false',
      '0,1,false',
      '1,-1,false',
      '1,0,false',
      '1,1,false',
    ]);
  });

  it('fills with black as the normalisation sees it', () => {
    const normalization = { scale: 1, mean: [100], std: [10] };
    for (const augmentation of [{ crop: 6 }, { shift: 6, rotate: 1e-9 }]) {
      const values = new Set<number>();
      for (let seed = 0; seed < 20; seed++)
        for (const v of draw(augmentation, seed, new Uint8Array(72).fill(100), [2, 6, 6], normalization)) values.add(v);
      expect(Math.min(...values)).toBe(-10);
      expect(Math.max(...values)).toBeCloseTo(0, 5);
    }
  });

  it('samples bilinearly: a linear ramp stays linear under an affine map, inside', () => {
    const size = 15;
    const ramp = Float32Array.from({ length: size * size }, (_, i) => 2 * (i % size) + 5 * Math.floor(i / size) + 100);
    const out = draw({ rotate: 20, scale: 0.1, shear: 0.1, shift: 1 }, 4, ramp, [1, size, size]);
    const at = (x: number, y: number) => out[y * size + x];
    const across = at(8, 7) - at(7, 7);
    const down = at(7, 8) - at(7, 7);
    for (let y = 5; y < 10; y++) for (let x = 5; x < 10; x++) expect(at(x, y)).toBeCloseTo(at(7, 7) + across * (x - 7) + down * (y - 7), 3);
    expect(Math.abs(across - 2) + Math.abs(down - 5)).toBeGreaterThan(0.05);
    // A turn by θ ≤ 20°, a scale within 10 % and a shear within 0.1 change the ramp's slope no further than this.
    expect(Math.hypot(across, down)).toBeGreaterThan(0.75 * Math.hypot(2, 5));
    expect(Math.hypot(across, down)).toBeLessThan(1.25 * Math.hypot(2, 5));
  });

  it('rotates by the angle it says: a turn near 0 changes nothing, and turns stay within bounds', () => {
    const still = draw({ rotate: 1e-9 }, 1);
    still.forEach((v, i) => {
      expect(v).toBeCloseTo(image[i], 3);
    });
    // A bright pixel right of the centre moves along a circle by no more than the angle.
    const size = 21;
    const dot = new Uint8Array(size * size);
    dot[10 * size + 18] = 255;
    let [low, high] = [0, 0];
    for (let seed = 0; seed < 100; seed++) {
      const out = draw({ rotate: 30 }, seed, dot, [1, size, size]);
      const [sum, x, y] = out.reduce(
        ([s, x, y], v, i) => [s + v, x + v * ((i % size) - 10), y + v * (Math.floor(i / size) - 10)],
        [0, 0, 0],
      );
      expect(Math.hypot(x / sum, y / sum)).toBeCloseTo(8, 0);
      const angle = (Math.atan2(y, x) * 180) / Math.PI;
      [low, high] = [Math.min(low, angle), Math.max(high, angle)];
    }
    expect(low).toBeLessThan(-20);
    expect(high).toBeGreaterThan(20);
    expect(Math.max(-low, high)).toBeLessThan(33);
  });

  it('draws anew for each image, and the same for the same Random', () => {
    const all: Augmentation = { shift: 2, rotate: 10, scale: 0.1, shear: 0.1, flip: true, elastic: { alpha: 10, sigma: 2 } };
    expect(draw(all, 5)).toEqual(draw(all, 5));
    expect(draw(all, 5)).not.toEqual(draw(all, 6));
    const writer = new SampleWriter([2, 6, 6], raw, all);
    const [random, out] = [new Random(5), new Float32Array(144)];
    writer.write(image, 0, out, 0, random);
    writer.write(image, 0, out, 72, random);
    expect(out.subarray(0, 72)).toEqual(draw(all, 5));
    expect(out.subarray(72)).not.toEqual(out.subarray(0, 72));
    expect(out.every((v) => Number.isFinite(v))).toBe(true);
  });

  it('refuses settings that cannot work', () => {
    const refused = (augmentation: Augmentation, shape = [1, 4, 4]) => errorOf(() => new SampleWriter(shape, raw, augmentation)).message;
    expect(refused({ shift: -1 })).toMatch(/augmentation's shift is -1/);
    expect(refused({ crop: 1.5 })).toMatch(/crop is 1\.5; it counts whole pixels/);
    expect(refused({ scale: 1 })).toMatch(/scale is 1/);
    expect(refused({ elastic: { alpha: 3, sigma: 0 } })).toMatch(/elastic sigma is 0/);
    expect(refused({ flip: true }, [784])).toMatch(/samples have the shape 784/);
  });
});

describe('elastic displacement', () => {
  it('has the size and the smoothness of Simard’s: noise within ±alpha under a Gaussian of sigma', () => {
    const [size, sigma, alpha] = [60, 4, 34];
    const field = new SmoothField(size, size, sigma);
    const values = new Float32Array(size * size);
    const random = new Random(3);
    const sums = { square: 0, product: 0, n: 0 };
    for (let round = 0; round < 60; round++) {
      field.draw(random, alpha);
      field.fill(values);
      expect(field.at(17, 23)).toBeCloseTo(values[23 * size + 17], 4);
      for (let y = 0; y < size; y++)
        for (let x = 0; x + sigma < size; x++) {
          sums.square += values[y * size + x] ** 2;
          sums.product += values[y * size + x] * values[y * size + x + sigma];
          sums.n++;
        }
    }
    // Smoothed uniform noise: alpha / √3 / (2 √π sigma), and a correlation of exp(−1/4) at a distance of sigma.
    expect(Math.sqrt(sums.square / sums.n) / (alpha / Math.sqrt(3) / (2 * Math.sqrt(Math.PI) * sigma))).toBeCloseTo(1, 1);
    expect(sums.product / sums.square).toBeCloseTo(Math.exp(-0.25), 1);
  });
});
