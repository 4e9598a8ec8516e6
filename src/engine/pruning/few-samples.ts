/**
 * Least squares where the sample has few rows for the inputs of the layer (a classifier behind global pooling has one row an image): a plain fit would follow
 * chance. The weights are kept near the present ones instead, exactly there in directions that the sample says nothing about:
 *
 *     W = W₀ + V,   V minimises ‖X·V − (Y − X·W₀)‖² + λ‖V‖²
 *
 * How near is found by leaving rows out. With fewer rows than inputs in the dual form, V = Xᵀα, (X·Xᵀ + λI)·α = Y − X·W₀ (Saunders, Gammerman, Vovk 1998), where
 * the error of row i when it is left out is α_i / (X·Xᵀ + λI)⁻¹_ii; with more rows in the primal form, by generalised cross-validation (both: Golub, Heath, Wahba
 * 1979).
 */
import type { Moments, SampleMatrix } from './gram';
import { factorize, invertFactored, meanDiagonal, NotPositiveDefinite, solveFactored } from './least-squares';

/** λ as a share of the mean diagonal; the largest leaves the weights nearly as they are. */
const RIDGES = [1e-4, 1e-3, 1e-2, 0.1, 1, 10, 1000];

export interface FewSampleSolution {
  /** columns.length × outputs. */
  readonly weights: Float64Array;
  /** Constant terms, by output. */
  readonly constant: Float64Array;
  /** Squared error left on the sample, as a fraction of the target's variance. */
  readonly error: number;
  /** λ as a share of the mean diagonal; infinite where the present weights are kept. */
  readonly ridge: number;
}

/** Weights, the squared error left on the sample, and λ as a share of the mean diagonal. */
type Fit = Pick<FewSampleSolution, 'weights' | 'ridge'> & { readonly left: number };

/**
 * @param columns of X that take part
 * @param prior the present weights W₀, columns.length × outputs
 */
export function solveFewSamples(
  matrix: SampleMatrix,
  moments: Moments,
  columns: ArrayLike<number>,
  prior: Float64Array,
): FewSampleSolution {
  const wide = matrix.rows <= columns.length;
  const { weights, left, ridge } = wide ? dual(matrix, moments, columns, prior) : primal(matrix.rows, moments, columns, prior);
  const n = moments.outputs;
  const constant = moments.centred ? moments.meanY.slice() : new Float64Array(n);
  if (moments.centred)
    for (let i = 0; i < columns.length; i++) for (let j = 0; j < n; j++) constant[j] -= weights[i * n + j] * moments.meanX[columns[i]];
  const energy = moments.energy.reduce((a, b) => a + b, 0);
  return { weights, constant, error: energy > 0 ? Math.max(0, left / energy) : 0, ridge };
}

/** (G + λI)·V = B − G·W₀; the λ with the least ‖error‖² / (1 − (tr H + 1)/rows)², tr H = k − λ·tr (G + λI)⁻¹. */
function primal(rows: number, moments: Moments, columns: ArrayLike<number>, prior: Float64Array): Fit {
  const { gram, cross, columns: all, outputs: n } = moments;
  const k = columns.length;
  const part = new Float64Array(k * k);
  const right = new Float64Array(k * n);
  let untouched = moments.energy.reduce((a, b) => a + b, 0);
  for (let i = 0; i < k; i++) {
    for (let c = 0; c < k; c++) part[i * k + c] = gram[columns[i] * all + columns[c]];
    for (let j = 0; j < n; j++) right[i * n + j] = cross[columns[i] * n + j];
    for (let c = 0; c < k; c++) {
      const g = part[i * k + c];
      if (g !== 0) for (let j = 0; j < n; j++) right[i * n + j] -= g * prior[c * n + j];
    }
    // ‖Y − XW₀‖² = ‖Y‖² − ⟨W₀, B⟩ − ⟨W₀, B − GW₀⟩.
    for (let j = 0; j < n; j++) untouched -= prior[i * n + j] * (cross[columns[i] * n + j] + right[i * n + j]);
  }
  untouched = Math.max(0, untouched);
  const mean = meanDiagonal(part, k);
  const fittedMeans = moments.centred ? 1 : 0;
  let best: Fit & { judged: number } = {
    weights: prior,
    left: untouched,
    ridge: Number.POSITIVE_INFINITY,
    judged: untouched / (1 - fittedMeans / rows) ** 2,
  };
  for (const ridge of mean > 0 ? RIDGES : []) {
    const lambda = ridge * mean;
    const l = factorOf(part, k, lambda);
    if (!l) continue;
    const move = right.slice();
    solveFactored(l, k, move, n);
    const inverse = invertFactored(l, k);
    let trace = k;
    for (let i = 0; i < k; i++) trace -= lambda * inverse[i * k + i];
    // ‖R − XV‖² = ‖R‖² − ⟨V, XᵀR⟩ − λ‖V‖² at the solution.
    let left = untouched;
    for (let i = 0; i < move.length; i++) left -= move[i] * (right[i] + lambda * move[i]);
    left = Math.max(0, left);
    const judged = left / (1 - (trace + fittedMeans) / rows) ** 2;
    if (judged < best.judged) best = { weights: prior.map((w, i) => w + move[i]), left, ridge, judged };
  }
  return best;
}

function dual(matrix: SampleMatrix, moments: Moments, columns: ArrayLike<number>, prior: Float64Array): Fit {
  const { rows, width, data } = matrix;
  const [k, n] = [columns.length, moments.outputs];
  const x = new Float64Array(rows * k);
  const residual = new Float64Array(rows * n);
  const firstOutput = matrix.columns + 1;
  for (let r = 0; r < rows; r++) {
    for (let i = 0; i < k; i++) x[r * k + i] = data[r * width + columns[i]] - (moments.centred ? moments.meanX[columns[i]] : 0);
    for (let j = 0; j < n; j++) residual[r * n + j] = data[r * width + firstOutput + j] - (moments.centred ? moments.meanY[j] : 0);
    for (let i = 0; i < k; i++) {
      const v = x[r * k + i];
      if (v !== 0) for (let j = 0; j < n; j++) residual[r * n + j] -= v * prior[i * n + j];
    }
  }
  const kernel = new Float64Array(rows * rows);
  for (let r = 0; r < rows; r++) {
    for (let s = 0; s <= r; s++) {
      let sum = 0;
      for (let i = 0; i < k; i++) sum += x[r * k + i] * x[s * k + i];
      kernel[r * rows + s] = sum;
      kernel[s * rows + r] = sum;
    }
  }
  const { alpha, ridge, left } = bestDual(kernel, rows, residual, n, moments.centred);
  const weights = prior.slice();
  for (let r = 0; r < rows; r++) {
    for (let i = 0; i < k; i++) {
      const v = x[r * k + i];
      if (v !== 0) for (let j = 0; j < n; j++) weights[i * n + j] += v * alpha[r * n + j];
    }
  }
  return { weights, left, ridge };
}

/** α of the λ with the least error on rows left out; none where that of the present weights is less. */
function bestDual(
  kernel: Float64Array,
  rows: number,
  residual: Float64Array,
  n: number,
  centred: boolean,
): { alpha: Float64Array; ridge: number; left: number } {
  const mean = meanDiagonal(kernel, rows);
  const untouched = residual.reduce((a, b) => a + b * b, 0);
  let best = { alpha: new Float64Array(rows * n), ridge: Number.POSITIVE_INFINITY, error: untouched, left: untouched };
  for (const ridge of mean > 0 ? RIDGES : []) {
    const l = factorOf(kernel, rows, ridge * mean);
    if (!l) continue;
    const alpha = residual.slice();
    solveFactored(l, rows, alpha, n);
    const inverse = invertFactored(l, rows);
    let error = 0;
    for (let r = 0; r < rows; r++) {
      // Where the mean is fitted too, it moves with the row that is left out: the inverse without its direction (X is centred, so XXᵀ·1 = 0).
      const own = inverse[r * rows + r] - (centred ? 1 / (ridge * mean * rows) : 0);
      for (let j = 0; j < n; j++) {
        const out = alpha[r * n + j] / own;
        error += out * out;
      }
    }
    // What is left on the sample itself is Y − XW = λα.
    if (error < best.error) best = { alpha, ridge, error, left: (ridge * mean) ** 2 * alpha.reduce((a, b) => a + b * b, 0) };
  }
  return best;
}

/** The Cholesky factor of A + εI; undefined where rounding leaves it none. */
function factorOf(a: Float64Array, n: number, epsilon: number): Float64Array | undefined {
  const l = a.slice();
  for (let i = 0; i < n; i++) l[i * n + i] += epsilon;
  try {
    factorize(l, n);
    return l;
  } catch (e) {
    if (e instanceof NotPositiveDefinite) return undefined;
    throw e;
  }
}
