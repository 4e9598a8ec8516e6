/**
 * One-dimensional k-means (Lloyd 1982) for weight sharing: the weights of a layer are replaced by k values (Han, Mao, Dally 2016, "Deep
 * Compression", section 3.1), beginning at values spread evenly from the least to the largest (the paper's best, section 3.2) or by
 * k-means++ (Arthur, Vassilvitskii 2007).
 */
import type { Random } from '../random';

export type CentroidStart = 'linear' | 'k-means++';

export interface Clusters {
  /** Ascending; no two are equal, each has a value. */
  readonly centroids: Float32Array;
  /** Index of its centroid for each value. */
  readonly assignment: Uint32Array;
}

const MOST_ROUNDS = 300;

/**
 * @param values finite numbers
 * @param k most clusters, at least 1; fewer come out where a cluster stays empty or there are fewer different values
 * @param random needed by 'k-means++' only
 */
export function kMeans(values: Float32Array, k: number, start: CentroidStart, random?: Random): Clusters {
  if (values.length === 0) return { centroids: new Float32Array(0), assignment: new Uint32Array(0) };
  const order = Uint32Array.from(values.keys()).sort((a, b) => values[a] - values[b]);
  const sorted = Float64Array.from(order, (i) => values[i]);
  let centers = start === 'linear' ? spreadEvenly(sorted, k) : plusPlus(sorted, k, random!);
  // Sums of what lies before each place: the mean of a cluster is then two differences.
  const sums = new Float64Array(sorted.length + 1);
  for (let i = 0; i < sorted.length; i++) sums[i + 1] = sums[i] + sorted[i];
  let ends = boundaries(sorted, centers);
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const next: number[] = [];
    let from = 0;
    for (const end of ends) {
      if (end > from) next.push((sums[end] - sums[from]) / (end - from));
      from = end;
    }
    const moved = next.length !== centers.length || next.some((c, i) => c !== centers[i]);
    centers = next;
    ends = boundaries(sorted, centers);
    if (!moved) break;
  }
  return collect(order, ends, centers);
}

/** Sum of squared distances of the values to their centroids. */
export function distortion(values: Float32Array, { centroids, assignment }: Clusters): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += (values[i] - centroids[assignment[i]]) ** 2;
  return sum;
}

/** For each center the end of its values in ascending order: the border lies halfway to the next. */
function boundaries(sorted: Float64Array, centers: readonly number[]): number[] {
  const ends: number[] = [];
  let at = 0;
  for (let c = 0; c + 1 < centers.length; c++) {
    const border = (centers[c] + centers[c + 1]) / 2;
    while (at < sorted.length && sorted[at] <= border) at++;
    ends.push(at);
  }
  return [...ends, sorted.length];
}

function spreadEvenly(sorted: Float64Array, k: number): number[] {
  const [low, high] = [sorted[0], sorted[sorted.length - 1]];
  if (k === 1 || low === high) return [(low + high) / 2];
  return Array.from({ length: k }, (_, i) => low + ((high - low) * i) / (k - 1));
}

/** Each next center is drawn with a probability in proportion to its squared distance from those there are. */
function plusPlus(sorted: Float64Array, k: number, random: Random): number[] {
  const centers = [sorted[random.below(sorted.length)]];
  const distances = sorted.map((v) => (v - centers[0]) ** 2);
  while (centers.length < k) {
    const total = distances.reduce((a, b) => a + b, 0);
    if (total === 0) break;
    let left = random.uniform() * total;
    let chosen = distances.length - 1;
    for (let i = 0; i < distances.length; i++) {
      left -= distances[i];
      if (left < 0) {
        chosen = i;
        break;
      }
    }
    const center = sorted[chosen];
    centers.push(center);
    for (let i = 0; i < distances.length; i++) distances[i] = Math.min(distances[i], (sorted[i] - center) ** 2);
  }
  return [...new Set(centers)].sort((a, b) => a - b);
}

/** Centroids as floats; those that round to the same float become one. */
function collect(order: Uint32Array, ends: readonly number[], centers: readonly number[]): Clusters {
  const assignment = new Uint32Array(order.length);
  const centroids: number[] = [];
  let from = 0;
  ends.forEach((end, c) => {
    if (end === from) return;
    const value = Math.fround(centers[c]);
    if (centroids[centroids.length - 1] !== value) centroids.push(value);
    for (let i = from; i < end; i++) assignment[order[i]] = centroids.length - 1;
    from = end;
  });
  return { centroids: Float32Array.from(centroids), assignment };
}
