/** Costs of a model without some of its channels, as candidates carry them. */
import type { ModelCost } from '../../protocol/policy';
import type { CostAfter } from '../graph/costs';

/**
 * @param original the whole model; the zeros among its weights are taken to be spread alike in what is left
 * @param channels of the groups that are pruned
 */
export function channelCost(
  original: Pick<ModelCost, 'params' | 'effectiveParams'>,
  channels: number,
): (left: ReturnType<CostAfter>, removed: number) => ModelCost {
  const density = original.effectiveParams / original.params;
  return ({ macs, params, weightBytes }, removed) => ({
    macs,
    params,
    weightBytes,
    effectiveMacs: Math.round(macs * density),
    effectiveParams: Math.round(params * density),
    channels: channels - removed,
  });
}
