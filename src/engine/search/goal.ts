/** Whether sizes keep to the goal. */
import { absoluteBudget, type Config } from '../../protocol/config';
import type { ModelCost } from '../../protocol/policy';
import { masksWeights } from '../methods/method';
import { findMethod } from '../methods/registry';

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

const withinBudget = (value: number, budget: number | undefined, whole: number): boolean =>
  budget === undefined || value <= absoluteBudget(budget, whole) * (1 + TOLERANCE);
