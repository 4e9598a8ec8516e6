/** How much of each layer's weights goes in each round of iterative magnitude pruning, and which. */
import type { Random } from '../random';

/** What is asked of one layer; shares are of its weights. */
export interface ScheduledLayer {
  readonly weights: number;
  /** Pruned at half the rate of the others, as the output layer in Frankle and Carbin 2019, appendix G.2. */
  readonly output: boolean;
  /** Least and largest share that may go in the end; in [0, 1). */
  readonly least: number;
  readonly most: number;
}

/** Most that goes of a layer of so many weights: one stays, as a layer without any would cut the network in two. */
export const mostSparse = (weights: number): number => (weights - 1) / weights;

const within = (value: number, { least, most, weights }: ScheduledLayer): number =>
  Math.min(Math.max(value, least), most, mostSparse(weights));

/** Weights that go of all layers together, as a share. */
export const overallSparsity = (layers: readonly { readonly weights: number }[], shares: readonly number[]): number =>
  layers.reduce((sum, l, i) => sum + l.weights * shares[i], 0) / layers.reduce((sum, l) => sum + l.weights, 0);

/**
 * Iterative pruning as in the lottery ticket hypothesis (Frankle, Carbin 2019): each round takes the share p of what is left of every layer,
 * p/2 of the output layer. p is chosen so that the last round ends at the target.
 * @returns for each round, the share of each layer's weights that is gone after it
 */
export function ticketSchedule(layers: readonly ScheduledLayer[], target: number, rounds: number): number[][] {
  const after = (rate: number, round: number): number[] =>
    layers.map((l) => within(1 - (1 - (l.output ? rate / 2 : rate)) ** round, { ...l, least: 1 - (1 - l.least) ** (round / rounds) }));
  const rate = bisect(0, 1, (p) => overallSparsity(layers, after(p, rounds)) < target);
  return Array.from({ length: rounds }, (_, i) => after(rate, i + 1));
}

/**
 * Shares by one threshold for all layers, in standard deviations of each layer's remaining weights (Han, Pool, Tran, Dally 2015, section 3:
 * "a quality parameter multiplied by the standard deviation of a layer's weights"); the parameter is chosen so that the target is met.
 * @param values weights of each layer; those that went before are zeros
 */
export function deviationShares(layers: readonly ScheduledLayer[], values: readonly Float32Array[], target: number): number[] {
  const sorted = values.map((w) => w.map(Math.abs).sort());
  const deviations = values.map((w) => {
    const left = w.filter((v) => v !== 0);
    const mean = left.reduce((a, v) => a + v, 0) / Math.max(1, left.length);
    return Math.sqrt(left.reduce((a, v) => a + (v - mean) ** 2, 0) / Math.max(1, left.length));
  });
  const at = (quality: number): number[] => layers.map((l, i) => within(countBelow(sorted[i], quality * deviations[i]) / l.weights, l));
  // Beyond the largest weight of all nothing more goes.
  const end = Math.max(...sorted.map((s, i) => (deviations[i] > 0 ? s[s.length - 1] / deviations[i] : 0))) * 1.001;
  return at(bisect(0, end, (quality) => overallSparsity(layers, at(quality)) < target));
}

/** The smallest value in [low, high] at which `tooLow` is false, to 1e-12 of the range; `high` where there is none. */
function bisect(low: number, high: number, tooLow: (value: number) => boolean): number {
  let [a, b] = [low, high];
  for (let i = 0; i < 48; i++) {
    const middle = (a + b) / 2;
    if (tooLow(middle)) a = middle;
    else b = middle;
  }
  return b;
}

/** How many of the ascending values lie below a limit. */
function countBelow(sorted: Float32Array, limit: number): number {
  let [from, to] = [0, sorted.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (sorted[middle] < limit) from = middle + 1;
    else to = middle;
  }
  return from;
}

/** A mask with as many zeros as another, at places drawn at random. */
export function shuffledMask(mask: Float32Array, random: Random): Float32Array {
  return Float32Array.from(random.permutation(mask.length), (i) => mask[i]);
}
