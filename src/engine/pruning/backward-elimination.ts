/**
 * Channel selection by backward elimination on the normal equations: of all channels, remove the one whose loss raises the
 * least-squares error least, refit, and go on until as many are left as wanted.
 *
 * With P = G⁻¹ and W = P·B, forcing the weights of a block of columns S to zero and refitting all others raises the error by
 * tr(W_Sᵀ (P_SS)⁻¹ W_S) (block form of the optimal brain surgeon, Hassibi and Stork 1993; greedy subset selection). Afterwards
 * P ← P − P_:S (P_SS)⁻¹ P_S: and W ← W − P_:S (P_SS)⁻¹ W_S, so one inverse serves all steps, and the weights left at the end
 * are the least-squares solution over the columns kept.
 */
import { DEFAULT_RIDGE, factorize, factorizeWithRidge, invertFactored, solveFactored } from './least-squares';

/** The normal equations of one layer that reads the channels. Several are eliminated together, their errors added. */
export interface EliminationProblem {
  /** G = XᵀX, p×p, symmetric. */
  readonly gram: Float64Array;
  readonly columns: number;
  /** B = XᵀY, p×n. */
  readonly cross: Float64Array;
  readonly outputs: number;
  /** Columns of each channel, in ascending order of channel; columns in no block always stay. */
  readonly blocks: readonly ArrayLike<number>[];
  /** What an error in each output counts (n values ≥ 0); all 1 where absent. */
  readonly outputWeights?: ArrayLike<number>;
}

export interface Elimination {
  /** Channels kept, ascending. */
  readonly kept: number[];
  /** Channels removed, first removed first. */
  readonly removed: number[];
  /** What each removal added to the error (weighted sum of squares over the sample, all problems together). */
  readonly increases: number[];
  /** By problem: least-squares weights, columns × outputs, rows of removed channels zero. */
  readonly weights: Float64Array[];
}

interface State {
  readonly p: number;
  readonly n: number;
  /** The inverse; only its lower triangle is kept up to date. Rows and columns of removed channels are zero. */
  readonly inverse: Float64Array;
  readonly weights: Float64Array;
  readonly output: Float64Array;
  readonly blocks: readonly ArrayLike<number>[];
}

/**
 * @param keep how many channels stay, 1 … number of blocks
 * @param ridge added to G's diagonal, as a fraction of its mean
 */
export function eliminateChannels(problems: readonly EliminationProblem[], keep: number, ridge = DEFAULT_RIDGE): Elimination {
  const channels = problems[0].blocks.length;
  if (keep < 1 || keep > channels) throw new RangeError(`cannot keep ${keep} of ${channels} channels`);
  const states = problems.map((problem) => start(problem, ridge));
  const alive = Array.from({ length: channels }, (_, i) => i);
  const removed: number[] = [];
  const increases: number[] = [];
  while (alive.length > keep) {
    let best = -1;
    let least = Number.POSITIVE_INFINITY;
    for (const c of alive) {
      let increase = 0;
      for (const s of states) {
        increase += errorIncrease(s, s.blocks[c]);
        if (increase >= least) break;
      }
      if (increase < least || best < 0) {
        least = increase;
        best = c;
      }
    }
    alive.splice(alive.indexOf(best), 1);
    for (const s of states) removeBlock(s, s.blocks[best]);
    removed.push(best);
    increases.push(least);
  }
  return { kept: alive, removed, increases, weights: states.map((s) => s.weights) };
}

function start(problem: EliminationProblem, ridge: number): State {
  const { gram, columns: p, cross, outputs: n } = problem;
  const { factor } = factorizeWithRidge(gram, p, ridge);
  const weights = cross.slice();
  solveFactored(factor, p, weights, n);
  const inverse = invertFactored(factor, p);
  const output = Float64Array.from({ length: n }, (_, j) => problem.outputWeights?.[j] ?? 1);
  return { p, n, inverse, weights, output, blocks: problem.blocks };
}

/** The factor of P_SS, with W_S (|S|×n) beside it. */
function blockOf(s: State, block: ArrayLike<number>): { factor: Float64Array; rows: Float64Array } {
  const k = block.length;
  const factor = new Float64Array(k * k);
  const rows = new Float64Array(k * s.n);
  for (let a = 0; a < k; a++) {
    for (let b = 0; b < k; b++) factor[a * k + b] = s.inverse[Math.max(block[a], block[b]) * s.p + Math.min(block[a], block[b])];
    rows.set(s.weights.subarray(block[a] * s.n, (block[a] + 1) * s.n), a * s.n);
  }
  factorize(factor, k);
  return { factor, rows };
}

/** tr(W_Sᵀ P_SS⁻¹ W_S) = ‖L⁻¹ W_S‖², each output by its weight. */
function errorIncrease(s: State, block: ArrayLike<number>): number {
  const { factor, rows } = blockOf(s, block);
  const k = block.length;
  const { n, output } = s;
  let total = 0;
  for (let a = 0; a < k; a++) {
    for (let b = 0; b < a; b++) {
      const f = factor[a * k + b];
      for (let j = 0; j < n; j++) rows[a * n + j] -= f * rows[b * n + j];
    }
    const d = 1 / factor[a * k + a];
    for (let j = 0; j < n; j++) {
      const v = rows[a * n + j] * d;
      rows[a * n + j] = v;
      total += output[j] * v * v;
    }
  }
  return total;
}

/** Takes a block out of the inverse and the weights; its own rows and columns end as zero. */
function removeBlock(s: State, block: ArrayLike<number>): void {
  const { p, n, inverse, weights } = s;
  const k = block.length;
  const { factor, rows } = blockOf(s, block);
  solveFactored(factor, k, rows, n);
  // U = P_S: (k×p) and V = P_SS⁻¹ P_S:; then P −= Uᵀ V, W −= Uᵀ (P_SS⁻¹ W_S).
  const u = new Float64Array(k * p);
  for (let a = 0; a < k; a++) {
    const c = block[a];
    for (let i = 0; i <= c; i++) u[a * p + i] = inverse[c * p + i];
    for (let i = c + 1; i < p; i++) u[a * p + i] = inverse[i * p + c];
  }
  const v = u.slice();
  solveFactored(factor, k, v, p);
  // Rows and columns of blocks taken out before are zero, and cost nothing: their factors are skipped.
  const live: number[] = [];
  for (let i = 0; i < p; i++) if (inverse[i * p + i] > 0) live.push(i);
  for (const i of live) {
    for (let a = 0; a < k; a++) {
      const f = u[a * p + i];
      for (let j = 0; j < n; j++) weights[i * n + j] -= f * rows[a * n + j];
    }
  }
  subtractProducts(inverse, p, u, v, k, live);
  for (let a = 0; a < k; a++) {
    weights.fill(0, block[a] * n, (block[a] + 1) * n);
    inverse.fill(0, block[a] * p, block[a] * p + block[a] + 1);
    for (let i = block[a]; i < p; i++) inverse[i * p + block[a]] = 0;
  }
}

/** P −= Uᵀ V over the lower triangle's rows in `live`; three rows of V a pass. */
function subtractProducts(inverse: Float64Array, p: number, u: Float64Array, v: Float64Array, k: number, live: readonly number[]): void {
  for (const i of live) {
    const at = i * p;
    let a = 0;
    for (; a + 3 <= k; a += 3) {
      const f0 = u[a * p + i];
      const f1 = u[(a + 1) * p + i];
      const f2 = u[(a + 2) * p + i];
      const v0 = a * p;
      const v1 = v0 + p;
      const v2 = v1 + p;
      for (let j = 0; j <= i; j++) inverse[at + j] -= f0 * v[v0 + j] + f1 * v[v1 + j] + f2 * v[v2 + j];
    }
    for (; a < k; a++) {
      const f = u[a * p + i];
      const va = a * p;
      for (let j = 0; j <= i; j++) inverse[at + j] -= f * v[va + j];
    }
  }
}
