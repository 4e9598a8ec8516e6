/**
 * LASSO channel selection (He, Zhang, Sun 2017, "Channel Pruning for Accelerating Very Deep Neural Networks", eq. 3–5):
 *   min over β, W of 1/(2N)·‖Y − Σ_i β_i X_i W_iᵀ‖² + λ‖β‖₁, subject to ‖β‖₀ ≤ c′.
 * W fixed, the problem in β needs only the c×c matrix Q_ij = ⟨X_i W_iᵀ, X_j W_jᵀ⟩ and r_i = ⟨X_i W_iᵀ, Y⟩, both of which
 * follow from the normal equations; so the cost does not grow with the sample.
 */
import { DEFAULT_RIDGE, RidgeSystem } from './least-squares';

export interface LassoProblem {
  /** G = XᵀX, p×p, symmetric. */
  readonly gram: Float64Array;
  readonly columns: number;
  /** B = XᵀY, p×n. */
  readonly cross: Float64Array;
  readonly outputs: number;
  /** The layer's weights to start from, p×n (row: input column). */
  readonly weights: Float64Array;
  /** Columns of each channel; columns in no block always stay, and their share is taken out of Y first. */
  readonly blocks: readonly ArrayLike<number>[];
  /** Σ y² over the sample and all outputs: the scale of this layer's error. */
  readonly energy: number;
}

export interface LassoOptions {
  /** Rounds of "β, then W": the number of channels falls to c′ in this many equal steps. Default 2. */
  readonly alternations?: number;
  readonly ridge?: number;
}

export interface LassoSelection {
  /** Channels kept, ascending. */
  readonly kept: number[];
  /** β of every channel when the count was reached; 0 for those removed. */
  readonly beta: Float64Array;
  /** The λ that did it. */
  readonly lambda: number;
}

/**
 * Selects `keep` of the channels. Several layers that read the same channels share β, each one's error counted relative to its
 * output's energy.
 * Exactly `keep` are returned: where one step of λ drops several, the largest |β| before it stay.
 */
export function selectLasso(problems: readonly LassoProblem[], keep: number, options: LassoOptions = {}): LassoSelection {
  const c = problems[0].blocks.length;
  if (keep < 1 || keep > c) throw new RangeError(`cannot keep ${keep} of ${c} channels`);
  const rounds = Math.max(1, Math.min(options.alternations ?? 2, c - keep || 1));
  let weights: Float64Array[] = problems.map((problem) => problem.weights);
  let alive = Array.from({ length: c }, (_, i) => i);
  let beta: Float64Array = new Float64Array(c);
  let lambda = 0;
  for (let round = 1; round <= rounds; round++) {
    const target = Math.round(c + ((keep - c) * round) / rounds);
    const { q, r, norms } = combinedEquations(problems, weights, alive);
    const found = reachCount(q, r, alive.length, norms, target);
    lambda = found.lambda;
    beta = new Float64Array(c);
    found.support.forEach((k) => {
      beta[alive[k]] = found.beta[k];
    });
    alive = found.support.map((k) => alive[k]);
    if (round < rounds) weights = problems.map((problem) => refit(problem, alive, options.ridge ?? DEFAULT_RIDGE));
  }
  return { kept: alive, beta, lambda };
}

/** Least squares for W over the channels alive (β folded into W: only their product matters); other rows zero. */
function refit(problem: LassoProblem, alive: readonly number[], ridge: number): Float64Array {
  const dropped = new Uint8Array(problem.columns);
  problem.blocks.forEach((block, i) => {
    if (!alive.includes(i)) for (let a = 0; a < block.length; a++) dropped[block[a]] = 1;
  });
  const columns: number[] = [];
  for (let i = 0; i < problem.columns; i++) if (!dropped[i]) columns.push(i);
  const w = new RidgeSystem(problem.gram, problem.columns, columns, ridge).solve(problem.cross, problem.outputs);
  const out = new Float64Array(problem.columns * problem.outputs);
  columns.forEach((i, k) => {
    out.set(w.subarray(k * problem.outputs, (k + 1) * problem.outputs), i * problem.outputs);
  });
  return out;
}

/** Q and r over the channels alive, summed over the problems, each W_i scaled to norm 1; and the norms, the β to start from. */
function combinedEquations(problems: readonly LassoProblem[], weights: readonly Float64Array[], alive: readonly number[]) {
  const c = alive.length;
  const q = new Float64Array(c * c);
  const r = new Float64Array(c);
  const squares = new Float64Array(c);
  problems.forEach((problem, k) => {
    addEquations(problem, weights[k], alive, q, r, squares);
  });
  const norms = squares.map(Math.sqrt);
  for (let i = 0; i < c; i++) {
    const scale = norms[i] > 0 ? 1 / norms[i] : 0;
    r[i] *= scale;
    for (let j = 0; j < c; j++) {
      q[i * c + j] *= scale;
      q[j * c + i] *= scale;
    }
  }
  return { q, r, norms };
}

function addEquations(
  problem: LassoProblem,
  weights: Float64Array,
  alive: readonly number[],
  q: Float64Array,
  r: Float64Array,
  squares: Float64Array,
): void {
  const { gram, columns: p, cross, outputs: n, blocks } = problem;
  const c = alive.length;
  const share = problem.energy > 0 ? 1 / problem.energy : 1;
  const inBlock = new Uint8Array(p);
  for (const block of blocks) for (let a = 0; a < block.length; a++) inBlock[block[a]] = 1;
  const fixed: number[] = [];
  for (let i = 0; i < p; i++) if (!inBlock[i]) fixed.push(i);
  /** Σ over the columns of two sets of G_xy·⟨w_x, w_y⟩ = ⟨X_first W_first, X_second W_second⟩. */
  const between = (first: ArrayLike<number>, second: ArrayLike<number>): number => {
    let sum = 0;
    for (let a = 0; a < first.length; a++) {
      for (let b = 0; b < second.length; b++) {
        const x = first[a] * n;
        const y = second[b] * n;
        let product = 0;
        for (let o = 0; o < n; o++) product += weights[x + o] * weights[y + o];
        sum += gram[first[a] * p + second[b]] * product;
      }
    }
    return sum;
  };
  for (let i = 0; i < c; i++) {
    const block = blocks[alive[i]];
    let fit = 0;
    for (let a = 0; a < block.length; a++) {
      for (let o = 0; o < n; o++) {
        const w = weights[block[a] * n + o];
        fit += cross[block[a] * n + o] * w;
        squares[i] += w * w;
      }
    }
    r[i] += (fit - between(block, fixed)) * share;
    for (let j = 0; j <= i; j++) {
      const v = between(block, blocks[alive[j]]) * share;
      q[i * c + j] += v;
      if (j < i) q[j * c + i] += v;
    }
  }
}

/**
 * Minimises ½·βᵀQβ − rᵀβ + λ‖β‖₁ by cyclic coordinate descent, in place of `beta`.
 * @param tolerance largest change of a coordinate at the end, relative to the largest coordinate
 */
export function coordinateDescent(
  q: Float64Array,
  r: Float64Array,
  beta: Float64Array,
  lambda: number,
  tolerance = 1e-7,
  maximumPasses = 1000,
): void {
  const c = r.length;
  // g = Qβ, kept up to date.
  const g = new Float64Array(c);
  for (let i = 0; i < c; i++) for (let j = 0; j < c; j++) g[i] += q[i * c + j] * beta[j];
  for (let pass = 0; pass < maximumPasses; pass++) {
    let change = 0;
    let largest = 0;
    for (let i = 0; i < c; i++) {
      const d = q[i * c + i];
      const old = beta[i];
      if (!(d > 0)) {
        beta[i] = 0;
        continue;
      }
      const rho = r[i] - g[i] + d * old;
      const next = rho > lambda ? (rho - lambda) / d : rho < -lambda ? (rho + lambda) / d : 0;
      if (next !== old) {
        for (let j = 0; j < c; j++) g[j] += q[i * c + j] * (next - old);
        beta[i] = next;
      }
      change = Math.max(change, Math.abs(next - old));
      largest = Math.max(largest, Math.abs(next));
    }
    if (change <= tolerance * largest) break;
  }
}

/** Raises λ from near 0 until at most `target` coordinates are left, then narrows it down to the step that did. */
function reachCount(q: Float64Array, r: Float64Array, c: number, start: Float64Array, target: number) {
  const support = (b: Float64Array): number => b.reduce((s, v) => s + (v !== 0 ? 1 : 0), 0);
  let above = start.slice();
  let low = 0;
  coordinateDescent(q, r, above, 0);
  const ranked = (b: Float64Array) => Array.from({ length: c }, (_, i) => i).sort((i, j) => Math.abs(b[j]) - Math.abs(b[i]) || i - j);
  if (target < c) {
    let high = Math.max(...r.map(Math.abs), Number.MIN_VALUE) * 1e-4;
    for (;;) {
      const trial = above.slice();
      coordinateDescent(q, r, trial, high);
      if (support(trial) <= target) break;
      above = trial;
      low = high;
      high *= 2;
    }
    for (let step = 0; step < 20 && support(above) > target; step++) {
      const middle = (low + high) / 2;
      const trial = above.slice();
      coordinateDescent(q, r, trial, middle);
      const count = support(trial);
      if (count < target) high = middle;
      else {
        above = trial;
        low = middle;
      }
    }
  }
  const kept = ranked(above)
    .slice(0, target)
    .sort((i, j) => i - j);
  return { beta: above, lambda: low, support: kept };
}
