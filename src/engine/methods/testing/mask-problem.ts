/** A masking problem that takes no time: normal weights in five layers, accuracy by a formula whose sensitive layers are known. */
import type { Config } from '../../../protocol/config';
import type { ModelCost, Policy } from '../../../protocol/policy';
import { Random } from '../../random';
import { searchStage } from '../../search/search-stage';
import type { MaskDecision } from '../../search/weight-mask-environment';
import { SHARES } from '../../search/weight-mask-layers';
import { type MaskUnit, maskBudget, weightMaskDefinition } from '../../search/weight-mask-stage';
import { findMethod } from '../registry';
import { type Play, type PlayOptions, playStage } from './play';

/** Weights of each layer, multiply-accumulates of each weight, and how much accuracy goes with it (loss = sensitivity · sparsity⁴). */
const LAYERS = [
  { weights: 400, perWeight: 64, sensitivity: 0.6 },
  { weights: 1600, perWeight: 64, sensitivity: 0.05 },
  { weights: 1600, perWeight: 16, sensitivity: 0.4 },
  { weights: 3600, perWeight: 16, sensitivity: 0.02 },
  { weights: 2000, perWeight: 1, sensitivity: 0.2 },
] as const;
const ACCURACY = 0.95;
const TOTAL = LAYERS.reduce((sum, l) => sum + l.weights, 0);

const values = LAYERS.map(({ weights }, i) => {
  const random = new Random(i + 1);
  return Float32Array.from({ length: weights }, () => random.normal());
});

const nameOf = (i: number): string => `layer${i}`;

export const unitsFor = (config: Config): MaskUnit[] => {
  const levelsOf = findMethod(config.method.name).levels?.(config) ?? SHARES;
  return LAYERS.map(({ weights, perWeight }, index) => ({
    name: nameOf(index),
    weights,
    levels: levelsOf(values[index]),
    features: { index, outChannels: 20, inChannels: 20, kernel: [1, 1], stride: 1, flops: weights * perWeight },
  }));
};

const sparsities = ({ sparsity = {} }: Policy): number[] => LAYERS.map((_, i) => sparsity[nameOf(i)] ?? 0);

export function maskCostOf(policy: Policy): ModelCost {
  const kept = sparsities(policy).map((s, i) => LAYERS[i].weights - Math.round(s * LAYERS[i].weights));
  return {
    macs: LAYERS.reduce((sum, l) => sum + l.weights * l.perWeight, 0),
    params: TOTAL,
    weightBytes: 4 * TOTAL,
    effectiveParams: kept.reduce((sum, k) => sum + k, 0),
    effectiveMacs: kept.reduce((sum, k, i) => sum + k * LAYERS[i].perWeight, 0),
  };
}

export const maskedAccuracy = (policy: Policy): number =>
  Math.max(0, ACCURACY - sparsities(policy).reduce((sum, s, i) => sum + LAYERS[i].sensitivity * s ** 4, 0));

const dense: Policy = { ratios: {}, bits: {}, sparsity: {} };

export function playMasks(name: Config['method']['name'], options: PlayOptions = {}): Promise<Play> {
  const original = maskCostOf(dense);
  return playStage(
    name,
    {
      input: { goal: { params: 0.4 }, reward: { prune: 'purl', targetSparsity: 0.6 }, search: { episodes: 60, actors: 2 } },
      original: { accuracy: ACCURACY, flops: original.macs, params: original.params, bytes: original.weightBytes, sparsity: 0 },
      run: (context, count) => {
        const { config } = context;
        const units = unitsFor(config);
        return searchStage(
          context,
          weightMaskDefinition({
            config,
            units,
            budget: maskBudget(units, maskCostOf, original, config),
            accuracy: ACCURACY,
            cost: maskCostOf,
            measure: async (decisions: readonly MaskDecision[]) => {
              count(decisions);
              return { accuracy: maskedAccuracy({ ...dense, sparsity: Object.fromEntries(decisions) }) };
            },
            keep: async () => {},
          }),
        );
      },
    },
    { options: { hidden: 16, minibatch: 8, updatesPerStep: 1 }, ...options },
  );
}
