/** Whether sizes, and what a run ends with, keep to the goal. */
import { absoluteBudget, type Config } from '../../protocol/config';
import type { ModelCost } from '../../protocol/policy';
import { masksWeights } from '../methods/method';
import { findMethod } from '../methods/registry';
import type { FinalResult } from './finish';

/** Sums over layers leave rounding noise. */
const TOLERANCE = 1e-9;

/** Multiply-accumulates and parameters that a goal limits. Masks change only what is left of the weights, so there that counts. */
export function limitedFigures(cost: ModelCost, { method }: Pick<Config, 'method'>): { readonly macs: number; readonly params: number } {
  return masksWeights(findMethod(method.name)) ? { macs: cost.effectiveMacs, params: cost.effectiveParams } : cost;
}

/** @param original the model before compression, of which a goal up to 1 is a share */
export function keepsSizes(cost: ModelCost, original: ModelCost, config: Pick<Config, 'goal' | 'method'>): boolean {
  const { macs, params } = limitedFigures(cost, config);
  return (
    withinBudget(macs, config.goal.flops, original.macs) &&
    withinBudget(params, config.goal.params, original.params) &&
    withinBudget(cost.weightBytes, config.goal.bytes, original.weightBytes)
  );
}

/** The same of a whole result: sizes, milliseconds and loss of accuracy, as measured from the written file. */
export function meetsGoal(
  { before, after }: Pick<FinalResult, 'before' | 'after'>,
  original: ModelCost,
  config: Pick<Config, 'goal' | 'method'>,
): boolean {
  const { goal } = config;
  return (
    keepsSizes(after.cost, original, config) &&
    (goal.latency === undefined || (after.latency[0]?.median ?? 0) <= goal.latency) &&
    (goal.maxAccuracyDrop === undefined || before.accuracy - after.accuracy <= goal.maxAccuracyDrop + 1e-9)
  );
}

const withinBudget = (value: number, budget: number | undefined, whole: number): boolean =>
  budget === undefined || value <= absoluteBudget(budget, whole) * (1 + TOLERANCE);
