import type { Random } from '../random';
import type { ActionBounds } from './agent';

const LOG_SQRT_2_PI = 0.5 * Math.log(2 * Math.PI);

export function clip(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}

/** u in [0, 1] → the action at that fraction of the range. */
export function fromFraction(u: number, { low, high }: ActionBounds): number {
  return low + u * (high - low);
}

/** The fraction of the range at which an action lies; 0.5 where the range is a point and every fraction means the same action. */
export function toFraction(action: number, { low, high }: ActionBounds): number {
  return high > low ? (action - low) / (high - low) : 0.5;
}

/** log N(x; mean, σ²). */
export function logNormalDensity(x: number, mean: number, sigma: number): number {
  const z = (x - mean) / sigma;
  return -0.5 * z * z - Math.log(sigma) - LOG_SQRT_2_PI;
}

/** Entropy of N(·, σ²), in nats. */
export function normalEntropy(sigma: number): number {
  return 0.5 + LOG_SQRT_2_PI + Math.log(sigma);
}

/** N(mean, σ²) restricted to [low, high], by inverting its cumulative distribution: one draw, whatever the bounds (AMC, He et al. 2018, section 3.3). */
export function truncatedNormal(random: Random, mean: number, sigma: number, low: number, high: number): number {
  const u = random.uniform();
  if (!(high > low) || sigma <= 0) return clip(mean, low, high);
  // In the tail where both bounds lie on one side of the mean, the mirrored distribution keeps the precision.
  const mirrored = low > mean;
  const a = mirrored ? (mean - high) / sigma : (low - mean) / sigma;
  const b = mirrored ? (mean - low) / sigma : (high - mean) / sigma;
  const from = normalCumulative(a);
  const to = normalCumulative(b);
  const p = from + u * (to - from);
  const z = p > 0 && p < 1 ? normalQuantile(p) : clip(0, a, b);
  return clip(mean + sigma * (mirrored ? -z : z), low, high);
}

/** Φ(z): complementary error function by Numerical Recipes' Chebyshev fit (Press et al. 2007, section 6.2.2), relative error below 1.2e-7. */
export function normalCumulative(z: number): number {
  const x = Math.abs(z) / Math.SQRT2;
  const t = 2 / (2 + x);
  const fit = [
    0.17087277, -0.82215223, 1.48851587, -1.13520398, 0.27886807, -0.18628806, 0.09678418, 0.37409196, 1.00002368, -1.26551223,
  ].reduce((sum, coefficient) => sum * t + coefficient, 0);
  const tail = t * Math.exp(-x * x + fit);
  return z < 0 ? tail / 2 : 1 - tail / 2;
}

/** Φ⁻¹(p) for p in (0, 1): Acklam's rational approximation and one Halley step. */
export function normalQuantile(p: number): number {
  const rational = (coefficients: readonly number[], x: number) => coefficients.reduce((sum, c) => sum * x + c, 0);
  const TAIL = 0.02425;
  const c = [-7.784894002430293e-3, -0.3223964580411365, -2.400758277161838, -2.549732539343734, 4.374664141464968, 2.938163982698783];
  const d = [7.784695709041462e-3, 0.3224671290700398, 2.445134137142996, 3.754408661907416, 1];
  let x: number;
  if (p < TAIL) {
    const q = Math.sqrt(-2 * Math.log(p));
    x = rational(c, q) / rational(d, q);
  } else if (p > 1 - TAIL) {
    const q = Math.sqrt(-2 * Math.log(1 - p));
    x = -rational(c, q) / rational(d, q);
  } else {
    const q = p - 0.5;
    const r = q * q;
    const a = [-39.69683028665376, 220.9460984245205, -275.9285104469687, 138.357751867269, -30.66479806614716, 2.506628277459239];
    const b = [-54.47609879822406, 161.5858368580409, -155.6989798598866, 66.80131188771972, -13.28068155288572, 1];
    x = (rational(a, r) * q) / rational(b, r);
  }
  const error = (normalCumulative(x) - p) * Math.sqrt(2 * Math.PI) * Math.exp((x * x) / 2);
  return x - error / (1 + (x * error) / 2);
}

/** Standard deviation of the exploration noise as a fraction of the range: `start` × `decay` for each ended episode, never below `floor`. */
export interface NoiseSchedule {
  readonly start: number;
  readonly decay: number;
  readonly floor: number;
}

export function noiseAfter({ start, decay, floor }: NoiseSchedule, episodes: number): number {
  return Math.max(floor, start * decay ** episodes);
}
