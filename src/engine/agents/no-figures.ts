import type { UpdateDiagnostics } from './agent';

/** For algorithms to put their own figures over. */
export const NO_FIGURES: UpdateDiagnostics = {
  criticLoss: Number.NaN,
  actorLoss: Number.NaN,
  approxKl: Number.NaN,
  clipFraction: Number.NaN,
  explainedVariance: Number.NaN,
  entropy: Number.NaN,
  qMean: Number.NaN,
};
