/** A problem of bit-widths that takes no time: five layers, accuracy by a formula whose sensitive layers are known. */
import type { Config } from '../../../protocol/config';
import type { ModelCost, Policy } from '../../../protocol/policy';
import { bitStage, type OpenLayer } from '../../search/bit-stage';
import { searchStage } from '../../search/search-stage';
import { type Play, type PlayOptions, playStage } from './play';

/** Weights and output channels of each layer, and how much accuracy goes with its rounding (loss = sensitivity · 4^(2 − bits)). */
const LAYERS = [
  { weights: 400, channels: 8, sensitivity: 0.3 },
  { weights: 3200, channels: 16, sensitivity: 0.02 },
  { weights: 1600, channels: 16, sensitivity: 0.25 },
  { weights: 4800, channels: 24, sensitivity: 0.01 },
  { weights: 800, channels: 10, sensitivity: 0.15 },
] as const;
const ACCURACY = 0.95;
/** Bits of every layer that are allowed. */
export const ALLOWED = [2, 3, 4, 5, 6, 7, 8];
/** Bytes of what is no weight. */
export const REST = 500;
const WEIGHTS = LAYERS.reduce((sum, l) => sum + l.weights, 0);

export const bitLayers: readonly OpenLayer[] = LAYERS.map(({ weights, channels }, index) => ({
  name: `layer${index}`,
  bits: ALLOWED,
  bytes: (bits) => Math.ceil((weights * bits) / 8) + 4 * channels,
  features: { index, outChannels: channels, inChannels: 8, kernel: [3, 3], stride: 1, flops: 64 * weights },
}));

/** Bytes of all layers at four bits each: what the budget is here. */
export const CEILING = bitLayers.reduce((sum, l) => sum + l.bytes(4), 0);

const bitsOf = ({ bits }: Policy): number[] => bitLayers.map((l) => bits[l.name] ?? 8);

export const bitCostOf = (policy: Policy): ModelCost => {
  const chosen = bitsOf(policy);
  return {
    macs: 64 * WEIGHTS,
    effectiveMacs: 64 * WEIGHTS,
    params: WEIGHTS,
    effectiveParams: WEIGHTS,
    weightBytes: bitLayers.reduce((sum, l, i) => sum + l.bytes(chosen[i]), REST),
  };
};

const accuracyOf = (policy: Policy): number =>
  Math.max(
    0,
    bitsOf(policy).reduce((left, bits, i) => left - LAYERS[i].sensitivity * 4 ** (2 - bits), ACCURACY),
  );

/** Stage 1 removed something, which stage 2 carries along. */
export const PRUNED: Policy = { ratios: { g0: 0.5 }, bits: { fixed: 8 } };

/** Learns early, so that a few episodes are a search. */
const AGENT = { hidden: 16, minibatch: 16, learningStarts: 16 };

export function playBits(name: Config['method']['name'], options: PlayOptions = {}): Promise<Play> {
  return playStage(
    name,
    {
      input: { search: { episodes: 40, actors: 2 }, agent: AGENT },
      original: { accuracy: ACCURACY, flops: 64 * WEIGHTS, params: WEIGHTS, bytes: 4 * WEIGHTS, sparsity: 0 },
      run: (context, count) =>
        searchStage(
          context,
          bitStage({
            config: context.config,
            layers: bitLayers,
            ceiling: CEILING,
            rest: REST,
            decided: PRUNED,
            cost: bitCostOf,
            measure: async (policy) => {
              count(policy.bits);
              return accuracyOf(policy);
            },
            keep: async () => {},
          }),
        ),
    },
    { options: { hidden: 24, minibatch: 16, actorLearningRate: 3e-3, criticLearningRate: 1e-2 }, ...options },
  );
}
