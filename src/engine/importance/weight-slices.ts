import type { ChannelGroup, WeightMember } from '../graph/channel-group';
import type { Model } from '../onnx/model';

/** Calls `visit` with every weight (as a number) of one channel of a member: all elements at the channel's positions along its axis. */
export function forEachWeight(model: Model, member: WeightMember, channel: number, visit: (value: number) => void): void {
  const tensor = model.graph.initializers.get(member.tensor)!;
  const data = tensor.floats();
  const inner = tensor.dims.slice(member.axis + 1).reduce((a, b) => a * b, 1);
  const outer = tensor.dims.slice(0, member.axis).reduce((a, b) => a * b, 1);
  for (const position of member.positions[channel]) {
    for (let o = 0; o < outer; o++) {
      const start = (o * member.length + position) * inner;
      for (let i = 0; i < inner; i++) visit(data[start + i]);
    }
  }
}

/**
 * The sum over the group's producers of `measure` of each channel, each producer scaled to a mean of 1 over the channels:
 * otherwise the layer with the largest weights would decide for all layers that share the channels.
 */
export function sumOverProducers(
  group: ChannelGroup,
  measure: (member: WeightMember, channel: number) => number,
  members: readonly WeightMember[] = group.producers,
): Float64Array {
  const total = new Float64Array(group.channels);
  for (const member of members) {
    const scores = Float64Array.from({ length: group.channels }, (_, c) => measure(member, c));
    const mean = scores.reduce((a, b) => a + b, 0) / group.channels;
    if (mean > 0) for (let c = 0; c < group.channels; c++) total[c] += scores[c] / mean;
  }
  return total;
}
