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
  /** Height and width of the layer's input map; 1 where it has none. Only AMC's observation reads them. */
  readonly map?: readonly [number, number];
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
  return scaledColumns(steps, columns);
}

/** AMC's static numbers (He et al. 2018, section 3.1): t, n, c, h, w, stride, k and FLOPs, each divided by its largest over the steps. */
export function amcFeatures(steps: readonly Features[]): number[][] {
  return scaledColumns(steps, [
    (f) => f.index + 1,
    (f) => f.outChannels,
    (f) => f.inChannels,
    (f) => f.map?.[0] ?? 1,
    (f) => f.map?.[1] ?? 1,
    (f) => f.stride,
    (f) => Math.max(...f.kernel),
    (f) => f.flops,
  ]);
}

function scaledColumns(steps: readonly Features[], columns: ReadonlyArray<(f: Features) => number>): number[][] {
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
