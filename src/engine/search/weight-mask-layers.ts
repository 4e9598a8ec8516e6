/** What a method that masks single weights decides: the levels of sparsity of each layer, and what a policy of them costs. */
import type { Config } from '../../protocol/config';
import { overrideFor } from '../../protocol/layer-overrides';
import type { ModelCost, Policy } from '../../protocol/policy';
import type { ModelCosts } from '../graph/costs';
import type { Layer } from '../graph/layers';
import type { Model } from '../onnx/model';
import { magnitudeMask } from '../pruning/weight-masks';

/** One thing that may be done with a layer. */
export interface MaskLevel {
  /** The number an agent acts with: a share, or a threshold in standard deviations. */
  readonly action: number;
  /** Share of the layer's weights that are then zero, in [0, 1). */
  readonly sparsity: number;
}

export interface MaskLayer {
  readonly layer: Layer;
  /** Ascending in action and sparsity; one where the config fixes the layer. */
  readonly levels: readonly MaskLevel[];
  /** Weights of the layer, biases not counted. */
  readonly weights: number;
}

/** Which levels there are for a layer with these weights, ascending. */
export type LevelsOf = (weights: Float32Array) => readonly MaskLevel[];

/** Shares in steps of 5 %, from nothing to 95 %. */
export const SHARES: LevelsOf = () => Array.from({ length: 20 }, (_, i) => ({ action: i / 20, sparsity: i / 20 }));

/**
 * The layers whose weights may be masked, in graph order. Overrides of the config are read as shares of weights: `skip`, `ratio`,
 * `minRatio`, `maxRatio`. A weight that several layers share is decided once, with the first of them.
 */
export function maskLayers(model: Model, layers: readonly Layer[], config: Config, levelsOf: LevelsOf = SHARES): MaskLayer[] {
  const seen = new Set<string>();
  return layers.flatMap((layer): MaskLayer[] => {
    const override = overrideFor(config.layers, [layer.name, layer.weight.replace(/\.weight$/, '')]);
    if (override?.skip || seen.has(layer.weight)) return [];
    seen.add(layer.weight);
    const weights = model.graph.initializers.get(layer.weight)!.floats();
    const all = levelsOf(weights);
    const nearest = (wanted: number): MaskLevel =>
      all.reduce((a, l) => (Math.abs(l.sparsity - wanted) < Math.abs(a.sparsity - wanted) ? l : a));
    if (override?.ratio !== undefined) return [{ layer, levels: [nearest(override.ratio)], weights: weights.length }];
    const [low, high] = [override?.minRatio ?? 0, override?.maxRatio ?? 1];
    const within = all.filter((l) => l.sparsity >= low - 1e-9 && l.sparsity <= high + 1e-9);
    return [{ layer, levels: within.length > 0 ? within : [nearest(low)], weights: weights.length }];
  });
}

/** The masks of a policy, by initializer name. Follows from the original model alone, whatever was trained since. */
export function masksOf(model: Model, layers: readonly Layer[], sparsity: Policy['sparsity']): Map<string, Float32Array> {
  const masks = new Map<string, Float32Array>();
  for (const { name, weight } of layers) {
    const share = sparsity?.[name];
    if (share !== undefined && !masks.has(weight)) masks.set(weight, magnitudeMask(model.graph.initializers.get(weight)!.floats(), share));
  }
  return masks;
}

/**
 * Costs of the model with a policy's weights masked: the structured figures are the original's, the effective ones count what is left.
 * @param costs of the original model
 * @param layers all layers of the model
 */
export function maskedCost(model: Model, layers: readonly Layer[], costs: ModelCosts): (policy: Policy) => ModelCost {
  const { layers: _, ...whole } = costs;
  const weights = new Map(
    layers.map((l) => {
      const values = model.graph.initializers.get(l.weight)!.floats();
      return [l.weight, { size: values.length, zeros: values.reduce((n, w) => n + (w === 0 ? 1 : 0), 0) }] as const;
    }),
  );
  return ({ sparsity = {} }) => {
    let { effectiveParams, effectiveMacs } = whole;
    const decided = new Map<string, number>();
    for (const { name, weight, macs } of layers) {
      const { size, zeros } = weights.get(weight)!;
      const share = decided.get(weight) ?? sparsity[name];
      if (share === undefined) continue;
      // Weights that were zero before are of the smallest magnitude: they go first.
      const more = Math.max(0, Math.min(size - 1, Math.round(share * size)) - zeros);
      if (!decided.has(weight)) effectiveParams -= more;
      decided.set(weight, share);
      effectiveMacs -= (macs * more) / size;
    }
    return { ...whole, effectiveParams, effectiveMacs: Math.round(effectiveMacs) };
  };
}
