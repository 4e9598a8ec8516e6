import type { Criterion } from './criterion';
import { forEachWeight, sumOverProducers } from './weight-slices';

/** Euclidean norm of the weights (He et al. 2018, "Soft Filter Pruning", section 3.2). */
export const l2: Criterion = {
  name: 'l2',
  description: 'Euclidean norm of the weights that make the channel.',
  score: (group, model) =>
    sumOverProducers(group, (member, channel) => {
      let sum = 0;
      forEachWeight(model, member, channel, (w) => {
        sum += w * w;
      });
      return Math.sqrt(sum);
    }),
};
