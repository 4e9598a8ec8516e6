import { describe, expect, test } from 'vitest';
import { Random } from '../random';
import { type CentroidStart, distortion, kMeans } from './k-means';

const random = new Random(11);
const normal = Float32Array.from({ length: 400 }, () => random.normal());

/** Least distortion of any k clusters: in one dimension they are ranges of the sorted values (dynamic programming over their ends). */
function optimum(values: Float32Array, k: number): number {
  const sorted = Float64Array.from(values).sort();
  const n = sorted.length;
  const cost = (from: number, to: number): number => {
    const part = sorted.subarray(from, to);
    const mean = part.reduce((a, b) => a + b, 0) / part.length;
    return part.reduce((a, b) => a + (b - mean) ** 2, 0);
  };
  let best = Array.from({ length: n + 1 }, (_, end) => (end === 0 ? 0 : cost(0, end)));
  for (let clusters = 2; clusters <= k; clusters++) {
    best = best.map((_, end) => {
      let least = Number.POSITIVE_INFINITY;
      for (let from = clusters - 1; from < end; from++) least = Math.min(least, best[from] + cost(from, end));
      return end === 0 ? 0 : Math.min(least, best[end]);
    });
  }
  return best[n];
}

describe.each<CentroidStart>(['linear', 'k-means++'])('%s', (start) => {
  test('clusters that lie apart are found exactly', () => {
    const means = [-3, -1, 0.5, 4];
    const values = Float32Array.from({ length: 200 }, (_, i) => means[i % 4] + 0.01 * Math.sin(i));
    const { centroids, assignment } = kMeans(values, 4, start, new Random(2));
    expect(centroids).toHaveLength(4);
    means.forEach((m, i) => {
      expect(centroids[i]).toBeCloseTo(m, 2);
    });
    assignment.forEach((c, i) => {
      expect(c).toBe(i % 4);
    });
  });

  test('every value is with its nearest centroid, every centroid is the mean of its values', () => {
    const { centroids, assignment } = kMeans(normal, 16, start, new Random(2));
    const sums = new Float64Array(centroids.length);
    const counts = new Float64Array(centroids.length);
    normal.forEach((v, i) => {
      const own = Math.abs(v - centroids[assignment[i]]);
      for (const c of centroids) expect(own).toBeLessThanOrEqual(Math.abs(v - c) + 1e-6);
      sums[assignment[i]] += v;
      counts[assignment[i]]++;
    });
    centroids.forEach((c, i) => {
      expect(counts[i]).toBeGreaterThan(0);
      expect(c).toBeCloseTo(sums[i] / counts[i], 5);
    });
    for (let i = 1; i < centroids.length; i++) expect(centroids[i]).toBeGreaterThan(centroids[i - 1]);
  });

  test('it is near the best that any clustering reaches, which dynamic programming finds', () => {
    const some = normal.subarray(0, 60);
    const best = optimum(some, 5);
    const found = distortion(some, kMeans(some, 5, start, new Random(2)));
    expect(found).toBeGreaterThanOrEqual(best - 1e-5);
    expect(found).toBeLessThan(1.6 * best);
  });

  test('no more clusters than different values; one value, no value', () => {
    const two = kMeans(Float32Array.of(1, 2, 1, 2), 8, start, new Random(1));
    expect([...two.centroids]).toEqual([1, 2]);
    expect([...kMeans(Float32Array.of(3, 3), 4, start, new Random(1)).centroids]).toEqual([3]);
    expect(kMeans(new Float32Array(0), 4, start, new Random(1)).centroids).toHaveLength(0);
  });
});

test('k-means++ depends on its generator only', () => {
  expect(kMeans(normal, 8, 'k-means++', new Random(5))).toEqual(kMeans(normal, 8, 'k-means++', new Random(5)));
});
