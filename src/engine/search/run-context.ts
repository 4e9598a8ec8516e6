/** What every phase of a run works with. */
import type { Config } from '../../protocol/config';
import { absoluteBudget } from '../../protocol/config';
import type { Measures, RewardContext } from '../../protocol/reward/rescore';
import type { TensorBackend } from '../agents/tensor-backend';
import type { Prepared } from './prepare';
import type { Recorder } from './recorder';
import type { RunFolder } from './run-folder';

export interface RunContext {
  readonly config: Config;
  readonly folder: RunFolder;
  readonly recorder: Recorder;
  readonly prepared: Prepared;
  readonly backend: TensorBackend;
  /** Measures of the model before compression, on the search images. */
  readonly original: Measures;
  readonly signal?: AbortSignal;
  /** Paths of the bundled worker threads; absent: everything in this thread. */
  readonly threads?: { readonly actor?: string; readonly augment?: string };
  /** onnxruntime threads for work outside the actors. */
  readonly cores?: number;
  /** True once the time limit has passed: the search ends, what was found is finished. */
  expired(): boolean;
}

/** What rewards read besides a candidate's measures. */
export function rewardContext({ config, original }: Pick<RunContext, 'config' | 'original'>): RewardContext {
  const { goal, reward } = config;
  return {
    original,
    budget: goal.flops === undefined ? undefined : absoluteBudget(goal.flops, original.flops),
    lambda: reward.lambda,
    targetAccuracy: reward.targetAccuracy,
    targetSparsity: reward.targetSparsity,
    dropBound: goal.maxAccuracyDrop,
  };
}

/** Why a stage ended. */
export type StageEnd = 'complete' | 'time-limit' | 'scorings-limit';
