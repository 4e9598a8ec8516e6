/**
 * Element masks from information dropout: which weights of a layer go, given how noisy its units may be (see
 * `training/information-dropout.ts`). Score of the weight from input i to unit j: |w|·(1 − p_j)·rms(x_i), how much of the signal it
 * carries after the noise.
 */
import type { Random } from '../random';

export interface ElementSelection {
  /** Row-major, of the shape `dims`. */
  readonly weights: Float32Array;
  readonly dims: readonly number[];
  /** Axis of the output units and of the inputs: 0 and 1 for Conv and for Gemm with transB, 1 and 0 for MatMul and Gemm without. */
  readonly unitAxis: number;
  readonly inputAxis: number;
  /** Groups of a convolution, whose input axis holds one group's channels; default 1. */
  readonly groups?: number;
  /** p_j of each unit, in [0, 1). */
  readonly dropProbability: Float32Array;
  /** Root mean square of each input (channel). */
  readonly rms: Float32Array;
  /** Part of the remaining weights to remove, in [0, 1). */
  readonly fraction: number;
  /** What was removed before: 0 stays 0. */
  readonly mask?: Float32Array;
  /** false leaves the factor (1 − p_j) out, for the ablation; default true. */
  readonly useDropProbability?: boolean;
  /**
   * Draws masks instead of cutting off the lowest scores: every weight of unit j goes with probability min(1, c·p_j), c such that
   * `fraction` goes on average. (α ≤ 0.7 alone would never let more than 39 % go.)
   */
  readonly stochastic?: Random;
}

/** Positions of a weight's unit and input. */
function coordinates({ dims, unitAxis, inputAxis, groups = 1 }: ElementSelection): { unit(i: number): number; input(i: number): number } {
  const stride = (axis: number): number => dims.slice(axis + 1).reduce((a, d) => a * d, 1);
  const [unitStride, inputStride] = [stride(unitAxis), stride(inputAxis)];
  const unit = (i: number): number => Math.floor(i / unitStride) % dims[unitAxis];
  const perGroup = dims[unitAxis] / groups;
  return {
    unit,
    input: (i) => (Math.floor(i / inputStride) % dims[inputAxis]) + Math.floor(unit(i) / perGroup) * dims[inputAxis],
  };
}

/** |w|·(1 − p_j)·rms(x_i) of every weight. @throws RangeError where p or rms are not one a unit and one an input */
export function elementScores(selection: ElementSelection): Float32Array {
  const { weights, dims, unitAxis, inputAxis, groups = 1, dropProbability, rms, useDropProbability = true } = selection;
  if (dropProbability.length !== dims[unitAxis])
    throw new RangeError(`${dropProbability.length} drop probabilities for ${dims[unitAxis]} units`);
  if (rms.length !== dims[inputAxis] * groups)
    throw new RangeError(`${rms.length} root mean squares for ${dims[inputAxis] * groups} inputs`);
  const { unit, input } = coordinates(selection);
  return weights.map((w, i) => Math.abs(w) * (useDropProbability ? 1 - dropProbability[unit(i)] : 1) * rms[input(i)]);
}

/**
 * The new mask of a layer: 1 for what stays. At least one weight stays.
 * Equal scores go in the order of the weights, so the same input gives the same mask.
 */
export function selectElements(selection: ElementSelection): Float32Array {
  const { weights, fraction, mask, stochastic } = selection;
  if (!(fraction >= 0 && fraction < 1)) throw new RangeError(`the fraction to remove must be in [0, 1), not ${fraction}`);
  const next = mask ? Float32Array.from(mask) : new Float32Array(weights.length).fill(1);
  const scores = elementScores(selection);
  const remaining = Array.from(next.keys()).filter((i) => next[i] !== 0);
  if (remaining.length === 0) return next;
  if (stochastic) {
    draw(selection, remaining, next, stochastic);
    // A layer without a weight would cut the network in two.
    if (remaining.every((i) => next[i] === 0)) next[remaining.reduce((a, i) => (scores[i] > scores[a] ? i : a))] = 1;
    return next;
  }
  const count = Math.min(remaining.length - 1, Math.round(fraction * remaining.length));
  remaining.sort((a, c) => scores[a] - scores[c] || a - c);
  for (const i of remaining.slice(0, count)) next[i] = 0;
  return next;
}

function draw(selection: ElementSelection, remaining: readonly number[], next: Float32Array, random: Random): void {
  const { dropProbability, fraction } = selection;
  const { unit } = coordinates(selection);
  const p = remaining.map((i) => dropProbability[unit(i)]);
  const expected = (c: number): number => p.reduce((a, v) => a + Math.min(1, c * v), 0) / p.length;
  const able = p.filter((v) => v > 0).length / p.length;
  if (able < fraction) throw new RangeError(`only ${(100 * able).toFixed(0)} % of the weights have a drop probability above 0`);
  let low = 0;
  let high = 1;
  while (expected(high) < fraction) high *= 2;
  for (let round = 0; round < 60; round++) {
    const middle = (low + high) / 2;
    if (expected(middle) < fraction) low = middle;
    else high = middle;
  }
  remaining.forEach((i, k) => {
    if (random.uniform() < high * p[k]) next[i] = 0;
  });
}
