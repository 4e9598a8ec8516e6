/** Means and spreads that agents learn by and log. */

/** NaN of no values. */
export const average = (values: readonly number[]): number => values.reduce((sum, v) => sum + v, 0) / values.length;

/** Mean square of the distances from the mean. */
export function variance(values: readonly number[]): number {
  const mean = average(values);
  return average(values.map((v) => (v - mean) ** 2));
}

/** Centred, and scaled to a standard deviation of one (unscaled where all are equal). */
export function standardized(values: readonly number[]): number[] {
  const mean = average(values);
  const deviation = Math.sqrt(variance(values));
  return values.map((v) => (v - mean) / (deviation + 1e-8));
}

/** Share of the targets' variance that predictions account for: 1 − Var(errors)/Var(targets); NaN where all targets are equal. */
export function explainedVariance(targets: readonly number[], errors: readonly number[]): number {
  const spread = variance(targets);
  return spread > 0 ? 1 - variance(errors) / spread : Number.NaN;
}

/** The moving average `before`, moved by `rate` towards `value`; the value itself where there is none yet. */
export const movedAverage = (before: number | undefined, value: number, rate: number): number =>
  before === undefined ? value : before + rate * (value - before);
