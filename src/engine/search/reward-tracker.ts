/** The reward of a run: the config's formula, the original's measures, and the range of FLOPs seen so far. */

import { type Measures, type RewardContext, rewardValues } from '../../protocol/reward/rescore';
import { type CompiledReward, compileReward } from '../../protocol/reward/reward';
import type { Outcome } from '../agents/agent';
import { UserError } from '../errors';

/**
 * Computes rewards from stored outcomes. F_low and F_high move as outcomes are observed, so a reward is computed anew whenever a
 * transition is used (methods.md §1; R_synthetic).
 */
export class RewardTracker {
  readonly reward: CompiledReward;
  private high = Number.NEGATIVE_INFINITY;
  private low = Number.POSITIVE_INFINITY;
  /** Number of the current episode, for formulas that name it. */
  episode = 0;

  /** @throws UserError where the formula cannot be read (the config check reports it earlier, with its range) */
  constructor(
    text: string,
    constants: Readonly<Record<string, number>>,
    readonly context: RewardContext,
  ) {
    const reading = compileReward(text, constants);
    if (!reading.reward)
      throw new UserError(`reward '${text}': ${reading.problems[0].message}`, 'See docs/reward.md for names and functions.');
    this.reward = reading.reward;
  }

  /** True where every evaluation must measure time. */
  get needsLatency(): boolean {
    return this.reward.names.includes('latency');
  }

  /** Widens the observed range of FLOPs. */
  see(outcome: Outcome): void {
    this.high = Math.max(this.high, outcome.flops);
    this.low = Math.min(this.low, outcome.flops);
  }

  /** @throws UserError naming the sub-expression where the formula has no value for this outcome */
  value(outcome: Outcome): number {
    const { original } = this.context;
    const measures: Measures = {
      accuracy: outcome.accuracy,
      flops: outcome.flops,
      params: outcome.measures.params,
      bytes: outcome.measures.bytes,
      latency: outcome.measures.latency,
      sparsity: outcome.measures.sparsity,
      channels: outcome.measures.channels,
    };
    const moment = {
      flopsHigh: Number.isFinite(this.high) ? this.high : original.flops,
      flopsLow: Number.isFinite(this.low) ? this.low : original.flops,
      episode: this.episode,
      layer: outcome.measures.layer,
    };
    const result = this.reward.evaluate(rewardValues(measures, this.context, moment));
    if (result.problem) throw new UserError(`reward '${this.reward.formula}': ${result.problem.message}`, 'Edit the reward in the config.');
    return result.value;
  }

  state(): { high: number; low: number } | undefined {
    return Number.isFinite(this.high) ? { high: this.high, low: this.low } : undefined;
  }

  restore(state: { high: number; low: number } | undefined): void {
    this.high = state?.high ?? Number.NEGATIVE_INFINITY;
    this.low = state?.low ?? Number.POSITIVE_INFINITY;
  }
}
