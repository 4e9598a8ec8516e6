import type { Criterion } from './criterion';
import { forEachWeight, sumOverProducers } from './weight-slices';

/**
 * Sum of distances to the layer's other filters (He et al. 2019, "Filter Pruning via Geometric Median", section 3.3):
 * the filter nearest the geometric median is the one the others can stand in for best.
 */
export const fpgm: Criterion = {
  name: 'fpgm',
  description: 'Distance of the channel’s filter to the layer’s other filters: the most replaceable goes first.',
  score(group, model) {
    return sumOverProducers(group, (member, channel) => {
      const filter = filterOf(channel);
      let sum = 0;
      for (let other = 0; other < group.channels; other++) {
        if (other === channel) continue;
        const f = filterOf(other);
        let squared = 0;
        for (let i = 0; i < f.length; i++) squared += (f[i] - filter[i]) ** 2;
        sum += Math.sqrt(squared);
      }
      return sum;

      function filterOf(c: number): number[] {
        const values: number[] = [];
        forEachWeight(model, member, c, (w) => {
          values.push(w);
        });
        return values;
      }
    });
  },
};
