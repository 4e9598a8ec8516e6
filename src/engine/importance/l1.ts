import type { Criterion } from './criterion';
import { forEachWeight, sumOverProducers } from './weight-slices';

/** Sum of absolute weights (Li et al. 2017, "Pruning Filters for Efficient ConvNets", section 3.1). */
export const l1: Criterion = {
  name: 'l1',
  description: 'Sum of the absolute weights that make the channel.',
  score: (group, model) =>
    sumOverProducers(group, (member, channel) => {
      let sum = 0;
      forEachWeight(model, member, channel, (w) => {
        sum += Math.abs(w);
      });
      return sum;
    }),
};
