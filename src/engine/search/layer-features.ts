/** The static part of the agent's observation (methods.md §1, State): what a group or layer looks like, scaled to [0, 1]. */
import type { Layer } from '../graph/layers';

export interface Features {
  /** Position in the episode, from 0. */
  readonly index: number;
  readonly outChannels: number;
  readonly inChannels: number;
  readonly kernel: readonly [number, number];
  readonly stride: number;
  /** Of all layers the group touches. */
  readonly flops: number;
}

/** t, n, c, kh, kw, stride and FLOPs of every step, each divided by its largest over the steps. */
export function scaledFeatures(steps: readonly Features[]): number[][] {
  const columns: Array<(f: Features) => number> = [
    (f) => f.index + 1,
    (f) => f.outChannels,
    (f) => f.inChannels,
    (f) => f.kernel[0],
    (f) => f.kernel[1],
    (f) => f.stride,
    (f) => f.flops,
  ];
  const largest = columns.map((c) => Math.max(...steps.map(c), Number.MIN_VALUE));
  return steps.map((f) => columns.map((c, i) => c(f) / largest[i]));
}

export const layerFeatures = (layer: Layer, index: number): Features => ({
  index,
  outChannels: layer.outChannels,
  inChannels: layer.inChannels,
  kernel: layer.kernel,
  stride: layer.stride,
  flops: layer.macs,
});
