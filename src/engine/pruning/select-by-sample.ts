/** Which channels of a group stay, so that the layers that read them can best be rebuilt: LASSO (He 2017) or backward elimination. */
import type { ChannelGroup } from '../graph/channel-group';
import type { Tensor } from '../onnx/tensor';
import { eliminateChannels } from './backward-elimination';
import { columnsPerChannel } from './gram';
import { selectLasso } from './lasso';
import { type SampledLayer, sampledWeights } from './layer-sampler';
import type { ReconstructionLayer } from './reconstruct';

export interface SampleSelection {
  readonly selection: 'lasso' | 'backward-elimination';
  /** How many channels stay. */
  readonly keep: number;
  readonly ridge: number;
}

/**
 * @param readers layers that read the group's channels, and their samples in the same order
 * @param tensors the current model's
 * @returns the channels that stay, ascending
 */
export function selectBySample(
  group: ChannelGroup,
  readers: readonly ReconstructionLayer[],
  samples: readonly SampledLayer[],
  tensors: ReadonlyMap<string, Tensor>,
  { selection, keep, ridge }: SampleSelection,
): number[] {
  const problems = readers.map((layer, k) => {
    const { sample, inputs } = samples[k];
    const { moments } = sample;
    const per = columnsPerChannel(layer.geometry);
    const member = group.consumers.find((m) => m.tensor === layer.weight)!;
    const columnOf = new Map(inputs.map((position, i) => [position, i]));
    const blocks = member.positions.map((positions) =>
      positions.flatMap((position) => Array.from({ length: per }, (_, t) => columnOf.get(position)! * per + t)),
    );
    const energy = moments.energy.reduce((a, b) => a + b, 0);
    return {
      gram: moments.gram,
      columns: moments.columns,
      cross: moments.cross,
      outputs: moments.outputs,
      blocks,
      energy,
      layer,
      sampled: samples[k],
    };
  });
  if (selection === 'lasso') {
    return selectLasso(
      problems.map((p) => ({ ...p, weights: sampledWeights(p.layer, tensors, p.sampled) })),
      keep,
      { ridge },
    ).kept;
  }
  return eliminateChannels(
    problems.map((p) => ({ ...p, outputWeights: new Float64Array(p.outputs).fill(p.energy > 0 ? 1 / p.energy : 0) })),
    keep,
    ridge,
  ).kept;
}
