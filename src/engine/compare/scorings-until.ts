/** How soon a search was good enough. */
import type { CellResult } from './cell';

/**
 * Scorings after which the best candidate so far was at least this accurate; null where none was.
 * @param curve as in `CellResult`: rising accuracies, each with the scorings it took
 * @param accuracy in [0, 1]
 */
export function scoringsUntil(curve: CellResult['curve'], accuracy: number): number | null {
  // An accuracy is a count of samples over their number: a difference of two is compared with room for rounding.
  return curve.find(([, reached]) => reached >= accuracy - 1e-9)?.[0] ?? null;
}

/** What one search for several targets cost beside a search for each of them. */
export interface SharedSearch {
  /** Scorings until the shared search was good enough at every target; null where it was not at some. */
  readonly shared: number | null;
  /** Scorings that the single searches took to be as good, together. */
  readonly single: number;
  /** How many times fewer the shared search took; null where it did not get there. */
  readonly ratio: number | null;
}

/** One target: the best so far in the shared search and in the search of its own. */
export interface TargetCurves {
  readonly shared: CellResult['curve'];
  /** Not empty. */
  readonly single: CellResult['curve'];
}

/** @param margin how far below the single search's last accuracy is good enough, for both; 0.005 is half a point */
export function comparedWithSingle(targets: readonly TargetCurves[], margin: number): SharedSearch {
  const wanted = targets.map(({ single }) => single[single.length - 1][1] - margin);
  const reached = targets.map(({ shared }, i) => scoringsUntil(shared, wanted[i]));
  const single = targets.reduce((sum, t, i) => sum + scoringsUntil(t.single, wanted[i])!, 0);
  const shared = reached.some((r) => r === null) ? null : Math.max(...reached.map((r) => r!));
  return { shared, single, ratio: shared === null ? null : single / shared };
}
