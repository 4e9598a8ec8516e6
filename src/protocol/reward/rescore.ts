/** Ranks the candidates of a finished run anew under another reward: pure arithmetic on what was measured, no evaluation. */
import type { Candidate, ModelCost } from '../policy';
import type { RewardValues } from './evaluator';
import type { FormulaProblem } from './expression';
import type { CompiledReward } from './reward';

/** The measures of one model by their names in the reward language; what was not measured is undefined. */
export interface Measures {
  readonly accuracy: number;
  readonly flops: number;
  readonly params: number;
  readonly bytes: number;
  /** Milliseconds at batch 1. */
  readonly latency?: number;
  readonly sparsity: number;
  readonly channels?: number;
}

/** What a reward reads besides the measures of a candidate and the range of FLOPs. */
export interface RewardContext {
  /** Measures of the model before compression. */
  readonly original: Measures;
  /** FLOPs that the goal allows, in multiply-accumulates. */
  readonly budget?: number;
  readonly lambda?: number;
  /** Absent: the original's accuracy. */
  readonly targetAccuracy?: number;
  readonly targetSparsity?: number;
  readonly dropBound?: number;
}

/** What a reward reads of the moment at which it is computed. */
export interface RewardMoment {
  readonly flopsHigh: number;
  readonly flopsLow: number;
  readonly episode: number;
  /** Index of the group or layer just decided. */
  readonly layer?: number;
}

/** Puts measures, context and moment under the names that formulas use. */
export function rewardValues(measures: Measures, context: RewardContext, moment: RewardMoment): RewardValues {
  const { original } = context;
  return {
    accuracy: measures.accuracy,
    flops: measures.flops,
    params: measures.params,
    bytes: measures.bytes,
    latency: measures.latency,
    sparsity: measures.sparsity,
    channels: measures.channels,
    accuracy0: original.accuracy,
    flops0: original.flops,
    params0: original.params,
    bytes0: original.bytes,
    latency0: original.latency,
    sparsity0: original.sparsity,
    channels0: original.channels,
    flopsHigh: moment.flopsHigh,
    flopsLow: moment.flopsLow,
    episode: moment.episode,
    layer: moment.layer,
    budget: context.budget,
    lambda: context.lambda,
    targetAccuracy: context.targetAccuracy ?? original.accuracy,
    targetSparsity: context.targetSparsity,
    dropBound: context.dropBound,
  };
}

/**
 * Measures by their reward names from a candidate's cost.
 * `flops` and `params` are the structured figures; `sparsity` = 1 − effectiveParams / parameters of the original.
 */
export function measuresOf(
  measured: { readonly accuracy: number; readonly cost: ModelCost; readonly latency?: Candidate['latency'] },
  originalParams: number,
): Measures {
  const { cost } = measured;
  const latency = (measured.latency?.find((l) => l.batch === 1) ?? measured.latency?.[0])?.median;
  return {
    accuracy: measured.accuracy,
    flops: cost.macs,
    params: cost.params,
    bytes: cost.weightBytes,
    ...(latency === undefined ? {} : { latency }),
    sparsity: originalParams > 0 ? 1 - cost.effectiveParams / originalParams : 0,
    ...(cost.channels === undefined ? {} : { channels: cost.channels }),
  };
}

export interface RescoredCandidate {
  readonly id: string;
  readonly reward: number;
  /** From 1. */
  readonly rank: number;
  readonly previousReward: number;
  /** Its rank among the same candidates under the reward of the run. */
  readonly previousRank: number;
}

export interface Rescoring {
  /** Best first. */
  readonly ranked: readonly RescoredCandidate[];
  /** Candidates whose reward has no value, with the reason (a measure that this run did not take, a division by zero). */
  readonly failed: ReadonlyArray<{ readonly id: string; readonly problem: FormulaProblem }>;
  readonly flopsHigh: number;
  readonly flopsLow: number;
}

export interface RescoreOptions {
  /** Ranks steps within an episode too; otherwise only complete policies are ranked. Default false. */
  readonly includePartial?: boolean;
}

/** Higher reward first; equal rewards by accuracy, then fewer FLOPs, then id, so that the order never depends on the input's. */
function ranking(entries: ReadonlyArray<{ candidate: Candidate; reward: number }>): Array<{ candidate: Candidate; reward: number }> {
  return [...entries].sort(
    (a, b) =>
      b.reward - a.reward ||
      b.candidate.accuracy - a.candidate.accuracy ||
      a.candidate.cost.macs - b.candidate.cost.macs ||
      (a.candidate.id < b.candidate.id ? -1 : a.candidate.id > b.candidate.id ? 1 : 0),
  );
}

/**
 * Ranks candidates under `reward`. flopsHigh and flopsLow are taken over all candidates given, partial ones too:
 * that is everything the run has observed at its end.
 */
export function rescore(
  candidates: readonly Candidate[],
  reward: CompiledReward,
  context: RewardContext,
  options: RescoreOptions = {},
): Rescoring {
  let flopsHigh = Number.NEGATIVE_INFINITY;
  let flopsLow = Number.POSITIVE_INFINITY;
  for (const { cost } of candidates) {
    flopsHigh = Math.max(flopsHigh, cost.macs);
    flopsLow = Math.min(flopsLow, cost.macs);
  }
  if (candidates.length === 0) flopsHigh = flopsLow = context.original.flops;
  const scored: Array<{ candidate: Candidate; reward: number }> = [];
  const failed: Array<{ id: string; problem: FormulaProblem }> = [];
  for (const candidate of candidates) {
    if (candidate.partial && !options.includePartial) continue;
    const measures = measuresOf(candidate, context.original.params);
    const result = reward.evaluate(rewardValues(measures, context, { flopsHigh, flopsLow, episode: candidate.episode }));
    if (result.problem) failed.push({ id: candidate.id, problem: result.problem });
    else scored.push({ candidate, reward: result.value });
  }
  const before = new Map(
    ranking(scored.map(({ candidate }) => ({ candidate, reward: candidate.reward }))).map((e, i) => [e.candidate, i + 1]),
  );
  const ranked = ranking(scored).map(({ candidate, reward: value }, i) => ({
    id: candidate.id,
    reward: value,
    rank: i + 1,
    previousReward: candidate.reward,
    previousRank: before.get(candidate)!,
  }));
  return { ranked, failed, flopsHigh, flopsLow };
}
