/**
 * Dense symmetric systems in float64: Cholesky factor, solution and inverse of G + εI. Matrices are row-major Float64Arrays.
 *
 * Own code rather than ml-matrix: its rows are separate arrays behind bounds checks and it has no symmetric inverse; four rows
 * at a time over one flat array is several times faster at the sizes of 3×3 convolutions (see `least-squares.test.ts` for the check against it).
 */

/** The default ridge, as a fraction of the mean diagonal: enough to make sampled patches of dead channels harmless. */
export const DEFAULT_RIDGE = 1e-4;

/** A matrix that has no Cholesky factor, at least not within rounding. */
export class NotPositiveDefinite extends Error {}

/** target[0 … length) += Σ_k factors[k] · rows k of `source`, four rows a pass (one load and store of the target for four products). */
function addRows(
  target: Float64Array,
  at: number,
  source: Float64Array,
  starts: Int32Array,
  factors: Float64Array,
  count: number,
  length: number,
): void {
  let k = 0;
  for (; k + 4 <= count; k += 4) {
    const a = factors[k];
    const b = factors[k + 1];
    const c = factors[k + 2];
    const d = factors[k + 3];
    const pa = starts[k];
    const pb = starts[k + 1];
    const pc = starts[k + 2];
    const pd = starts[k + 3];
    for (let j = 0; j < length; j++) {
      target[at + j] += a * source[pa + j] + b * source[pb + j] + (c * source[pc + j] + d * source[pd + j]);
    }
  }
  for (; k < count; k++) {
    const a = factors[k];
    const pa = starts[k];
    for (let j = 0; j < length; j++) target[at + j] += a * source[pa + j];
  }
}

/**
 * The lower factor L of A = L·Lᵀ, over the lower triangle of `a` (n×n), in place; the upper triangle is left as it was.
 * @throws NotPositiveDefinite
 */
export function factorize(a: Float64Array, n: number): void {
  for (let i0 = 0; i0 < n; i0 += 4) {
    const rows = Math.min(4, n - i0);
    const r0 = i0 * n;
    const r1 = r0 + (rows > 1 ? n : 0);
    const r2 = r0 + (rows > 2 ? 2 * n : 0);
    const r3 = r0 + (rows > 3 ? 3 * n : 0);
    // Columns left of the block: four rows share the loads of row j.
    for (let j = 0; j < i0; j++) {
      const rj = j * n;
      let s0 = 0;
      let s1 = 0;
      let s2 = 0;
      let s3 = 0;
      for (let k = 0; k < j; k++) {
        const v = a[rj + k];
        s0 += v * a[r0 + k];
        s1 += v * a[r1 + k];
        s2 += v * a[r2 + k];
        s3 += v * a[r3 + k];
      }
      const inverse = 1 / a[rj + j];
      a[r0 + j] = (a[r0 + j] - s0) * inverse;
      if (rows > 1) a[r1 + j] = (a[r1 + j] - s1) * inverse;
      if (rows > 2) a[r2 + j] = (a[r2 + j] - s2) * inverse;
      if (rows > 3) a[r3 + j] = (a[r3 + j] - s3) * inverse;
    }
    for (let i = i0; i < i0 + rows; i++) {
      const ri = i * n;
      for (let j = i0; j <= i; j++) {
        const rj = j * n;
        let s = a[ri + j];
        for (let k = 0; k < j; k++) s -= a[ri + k] * a[rj + k];
        if (j < i) a[ri + j] = s / a[rj + j];
        else {
          if (!(s > 0)) throw new NotPositiveDefinite(`matrix of size ${n} is not positive definite (pivot ${i} is ${s})`);
          a[ri + i] = Math.sqrt(s);
        }
      }
    }
  }
}

/** Solves L·Lᵀ·X = B for X (n×m), in place of `b`, with `l` from `factorize`. */
export function solveFactored(l: Float64Array, n: number, b: Float64Array, m: number): void {
  const starts = new Int32Array(n);
  const factors = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < i; k++) {
      starts[k] = k * m;
      factors[k] = -l[i * n + k];
    }
    addRows(b, i * m, b, starts, factors, i, m);
    const d = 1 / l[i * n + i];
    for (let j = 0; j < m; j++) b[i * m + j] *= d;
  }
  for (let i = n - 1; i >= 0; i--) {
    const count = n - 1 - i;
    for (let k = 0; k < count; k++) {
      starts[k] = (i + 1 + k) * m;
      factors[k] = -l[(i + 1 + k) * n + i];
    }
    addRows(b, i * m, b, starts, factors, count, m);
    const d = 1 / l[i * n + i];
    for (let j = 0; j < m; j++) b[i * m + j] *= d;
  }
}

/** The mean of the diagonal of G (n×n). */
export function meanDiagonal(g: Float64Array, n: number): number {
  let s = 0;
  for (let i = 0; i < n; i++) s += g[i * n + i];
  return n > 0 ? s / n : 0;
}

/** A copy of G with ridge·(mean diagonal) added to the diagonal; an all-zero G gets 1, so that its solution is 0. */
function withRidge(g: Float64Array, n: number, ridge: number): { matrix: Float64Array; epsilon: number } {
  const matrix = g.slice();
  const mean = meanDiagonal(g, n);
  const epsilon = mean > 0 ? ridge * mean : 1;
  for (let i = 0; i < n; i++) matrix[i * n + i] += epsilon;
  return { matrix, epsilon };
}

/** The factor of G + εI. */
export interface RidgeFactor {
  readonly factor: Float64Array;
  readonly epsilon: number;
}

/**
 * The factor of G plus a ridge. Where G's own rounding errors (it comes from float32 products) outweigh the ridge, a ten times
 * larger one is tried: the weights are then as good as the sample allows.
 */
export function factorizeWithRidge(g: Float64Array, n: number, ridge: number): RidgeFactor {
  for (let r = ridge; ; r = Math.max(10 * r, 1e-12)) {
    const { matrix, epsilon } = withRidge(g, n, r);
    try {
      factorize(matrix, n);
      return { factor: matrix, epsilon };
    } catch (e) {
      if (!(e instanceof NotPositiveDefinite) || r >= 1) throw e;
    }
  }
}

/**
 * Ridge regression from its normal equations: W = (G + ε·mean(diag G)·I)⁻¹ B.
 * @param g symmetric, positive semi-definite, n×n
 * @param b n×m
 * @returns W, n×m
 */
export function solveLeastSquares(g: Float64Array, n: number, b: Float64Array, m: number, ridge = DEFAULT_RIDGE): Float64Array {
  const { factor } = factorizeWithRidge(g, n, ridge);
  const w = b.slice();
  solveFactored(factor, n, w, m);
  return w;
}

/**
 * The inverse of A = L·Lᵀ (n×n, both triangles filled) from its factor: A⁻¹ = MᵀM with M = L⁻¹. Like the factor itself, each of
 * the two passes costs n³/6 products.
 */
export function invertFactored(a: Float64Array, n: number): Float64Array {
  const m = new Float64Array(n * n);
  const starts = new Int32Array(n);
  const factors = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    // Row i of M: −(Σ_k<i L_ik · M_k) / L_ii, and 1 / L_ii on the diagonal. Row k reaches to column k only, so four rows that
    // end within three columns of each other are taken over the longest (what lies beyond their ends is zero).
    const d = 1 / a[i * n + i];
    for (let k = 0; k < i; k += 4) {
      const count = Math.min(4, i - k);
      for (let t = 0; t < count; t++) {
        starts[t] = (k + t) * n;
        factors[t] = -a[i * n + k + t] * d;
      }
      addRows(m, i * n, m, starts, factors, count, Math.min(k + count, i));
    }
    m[i * n + i] = d;
  }
  const inverse = new Float64Array(n * n);
  for (let k = 0; k < n; k += 4) {
    const count = Math.min(4, n - k);
    for (let t = 0; t < count; t++) starts[t] = (k + t) * n;
    for (let i = 0; i < k + count; i++) {
      for (let t = 0; t < count; t++) factors[t] = m[(k + t) * n + i];
      addRows(inverse, i * n, m, starts, factors, count, i + 1);
    }
  }
  for (let i = 0; i < n; i++) for (let j = 0; j < i; j++) inverse[j * n + i] = inverse[i * n + j];
  return inverse;
}

/** Ridge least squares over some of the columns of normal equations, factored once for any number of right sides. */
export class RidgeSystem {
  private readonly factor: Float64Array;
  /** What was added to the diagonal. */
  readonly epsilon: number;

  /** @param g symmetric, p×p @param columns the columns that take part */
  constructor(
    g: Float64Array,
    p: number,
    private readonly columns: ArrayLike<number>,
    ridge = DEFAULT_RIDGE,
  ) {
    const k = columns.length;
    const part = new Float64Array(k * k);
    for (let i = 0; i < k; i++) {
      const row = columns[i] * p;
      for (let j = 0; j < k; j++) part[i * k + j] = g[row + columns[j]];
    }
    ({ factor: this.factor, epsilon: this.epsilon } = factorizeWithRidge(part, k, ridge));
  }

  /**
   * The weights with the least ‖Y − XW‖² + ε‖W − W₀‖².
   * @param cross p×n
   * @param prior W₀, columns.length × n; without it, 0
   * @returns weights of the columns, columns.length × n
   */
  solve(cross: Float64Array, n: number, prior?: Float64Array): Float64Array {
    const k = this.columns.length;
    const w = new Float64Array(k * n);
    for (let i = 0; i < k; i++) w.set(cross.subarray(this.columns[i] * n, (this.columns[i] + 1) * n), i * n);
    if (prior) for (let i = 0; i < w.length; i++) w[i] += this.epsilon * prior[i];
    solveFactored(this.factor, k, w, n);
    return w;
  }
}
