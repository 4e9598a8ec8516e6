import type { ChannelGroup, WeightMember } from '../graph/channel-group';
import type { Model } from '../onnx/model';
import type { Criterion } from './criterion';
import { l2 } from './l2';
import { forEachWeight, sumOverProducers } from './weight-slices';

/** The scale vectors of the batch normalisations that the group's channels pass. */
function scales(group: ChannelGroup, model: Model): WeightMember[] {
  const names = new Set(model.graph.nodes.filter((n) => n.opType === 'BatchNormalization' && n.domain === '').map((n) => n.inputs[1]));
  return group.parameters.filter((p) => names.has(p.tensor));
}

/**
 * Absolute scale of the channel's batch normalisation (Liu et al. 2017, "Learning Efficient Convolutional Networks through
 * Network Slimming", section 3). A group without batch normalisation is scored by its weights' norm instead.
 */
export const bnScale: Criterion = {
  name: 'bn-scale',
  description: 'Absolute scale in the batch normalisation that follows; the weights’ norm where there is none.',
  score(group, model, random) {
    const members = scales(group, model);
    if (members.length === 0) return l2.score(group, model, random);
    return sumOverProducers(
      group,
      (member, channel) => {
        let sum = 0;
        forEachWeight(model, member, channel, (w) => {
          sum += Math.abs(w);
        });
        return sum;
      },
      members,
    );
  },
};
