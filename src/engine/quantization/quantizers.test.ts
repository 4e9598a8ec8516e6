import { describe, expect, it } from 'vitest';
import { Random } from '../random';
import { channelLayout, dequantize, largestCode, mseClip, quantizeWeights, storedBytes } from './quantizers';

const normals = (n: number, seed: number): Float32Array => {
  const random = new Random(seed);
  return Float32Array.from({ length: n }, () => random.normal());
};
const squaredError = (a: ArrayLike<number>, b: ArrayLike<number>): number => Array.from(a).reduce((s, v, i) => s + (v - b[i]) ** 2, 0);

describe('mseClip', () => {
  it.each([1, 3, 7, 15, 127])('finds the best error of a scan of 4,000 clip values, largest code %i', (q) => {
    const w = Float64Array.from(normals(400, q));
    const error = (clip: number): number =>
      squaredError(
        w,
        w.map((v) => Math.max(-q, Math.min(q, Math.round((v * q) / clip))) * (clip / q)),
      );
    const max = Math.max(...w.map(Math.abs));
    let best = Number.POSITIVE_INFINITY;
    for (let i = 1; i <= 4000; i++) best = Math.min(best, error((1.2 * max * i) / 4000));
    expect(error(mseClip(w, q))).toBeLessThanOrEqual(best * (q > 31 ? 1.02 : 1.001) + 1e-12);
  });

  it('for two-level data gives that level exactly', () => {
    const clip = mseClip(Float64Array.from([0.5, -0.5, 0.5, 0]), 1);
    expect(clip).toBeCloseTo(0.5, 6);
  });

  it('of a normal sample at 2 bits is near the known optimum 1.224 σ (the ternary quantiser of a Gaussian, Max 1960)', () => {
    // Three-level mid-tread quantiser of a unit normal: output level 1.2240.
    expect(mseClip(Float64Array.from(normals(40_000, 5)), 1)).toBeCloseTo(1.224, 1);
  });
});

describe('quantizeWeights', () => {
  it.each([2, 3, 4, 5, 6, 7, 8])('at %i bits uses codes within the range and halves the error with each bit', (bits) => {
    const w = normals(8 * 27, 11);
    const quantized = quantizeWeights(w, [8, 3, 3, 3], 0, bits);
    expect(Math.max(...quantized.codes.map(Math.abs))).toBeLessThanOrEqual(largestCode(bits));
    const back = dequantize(quantized, [8, 3, 3, 3], 0);
    if (bits > 2) {
      const coarser = dequantize(quantizeWeights(w, [8, 3, 3, 3], 0, bits - 1), [8, 3, 3, 3], 0);
      expect(squaredError(back, w)).toBeLessThan(squaredError(coarser, w) / 2);
    }
  });

  it('at 1 bit is sign times mean magnitude, the least-squares solution', () => {
    const w = Float32Array.of(1, -3, 2, -2);
    const q = quantizeWeights(w, [1, 4], 0, 1);
    expect([...q.codes]).toEqual([1, -1, 1, -1]);
    expect(q.scales[0]).toBeCloseTo(2, 6);
  });

  it('keeps pruned weights at zero, also at 1 bit', () => {
    const w = Float32Array.of(0, -3, 0, 1);
    const q = quantizeWeights(w, [1, 4], 0, 1, Float32Array.of(0, 1, 0, 1));
    expect([...q.codes]).toEqual([0, -1, 0, 1]);
    expect(q.scales[0]).toBeCloseTo(2, 6);
  });

  it('quantises along the second axis as it does the transposed tensor along the first', () => {
    const w = normals(5 * 7, 3);
    const transposed = Float32Array.from({ length: 35 }, (_, i) => w[(i % 5) * 7 + Math.floor(i / 5)]);
    const a = quantizeWeights(w, [5, 7], 1, 4);
    const b = quantizeWeights(transposed, [7, 5], 0, 4);
    expect([...a.scales]).toEqual([...b.scales]);
  });

  it('refuses bit-widths outside 1 to 8', () => {
    expect(() => quantizeWeights(new Float32Array(4), [1, 4], 0, 9)).toThrow('1 to 8 bits');
  });
});

describe('sizes', () => {
  it('counts bits, scales and, at 1 bit with zeros, the mask', () => {
    expect(storedBytes(1000, 10, 4, true)).toBe(500 + 40);
    expect(storedBytes(1000, 10, 1, true)).toBe(250 + 40);
    expect(storedBytes(1000, 10, 1, false)).toBe(125 + 40);
    expect(storedBytes(1000, 10, 32, false)).toBe(4000);
  });

  it('visits every weight of a channel once', () => {
    const seen: number[] = [];
    channelLayout([2, 3, 2], 1).forEach(1, (i) => seen.push(i));
    expect(seen).toEqual([2, 3, 8, 9]);
  });
});
