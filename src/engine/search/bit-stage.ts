/** Stage 2 as `searchStage` sees it, whatever measures the bits: one action a layer, a fraction of its range of bits. */
import type { Config } from '../../protocol/config';
import type { Candidate, ModelCost, Policy } from '../../protocol/policy';
import { methodOfStage } from '../methods/registry';
import type { Features } from './layer-features';
import { QuantizeEnvironment } from './quantize-environment';
import type { StageDefinition } from './search-stage';

/** A layer whose bits are decided. */
export interface OpenLayer {
  readonly name: string;
  /** Bits the layer may take, ascending and contiguous. */
  readonly bits: readonly number[];
  /** Its weights in bytes at so many bits, with scales. */
  readonly bytes: (bits: number) => number;
  readonly features: Features;
}

export interface BitStageParts {
  readonly config: Config;
  readonly layers: readonly OpenLayer[];
  /** Most bytes of these layers together, and the bytes of everything else. */
  readonly ceiling: number;
  readonly rest: number;
  /** What was decided before: the policy of stage 1, with the bits that the config fixes. Layers that are not decided yet have their most bits. */
  readonly decided: Policy;
  cost(policy: Policy): ModelCost;
  /** Accuracy in [0, 1] of the model at a policy's bits. */
  measure(policy: Policy, partial: boolean, actor: number): Promise<number>;
  readonly keep: StageDefinition['keep'];
}

export function bitStage({ config, layers, ceiling, rest, decided, cost, measure, keep }: BitStageParts): StageDefinition {
  const spent = (bits: readonly number[]): number => layers.reduce((sum, l, i) => sum + l.bytes(bits[i]), 0) / ceiling;
  const mostOf = (l: OpenLayer): number => l.bits[l.bits.length - 1];
  const free = methodOfStage(config.method.name, 'quantize').bounds === 'free';
  const share = ceiling / layers.reduce((sum, l) => sum + l.bytes(8), 0);
  return {
    stage: 'quantize',
    problem: {
      // Most bits first: the layer as it is.
      levels: layers.map((l) => l.bits.map((_, i) => 1 - i / (l.bits.length - 1))),
      relativeCost: (actions) => spent(actions.map((a, i) => bitsAt(layers[i], a))),
    },
    ...(free && { relativeCost: (policy: Policy) => spent(layers.map((l) => policy.bits[l.name] ?? mostOf(l))) }),
    rewardText: config.reward.quantize,
    uniformAction: uniformFraction(layers, ceiling) ?? share,
    rankByAccuracy: false,
    cost,
    makeEnvironment: (actor, scorer) =>
      new QuantizeEnvironment({
        layers,
        ceiling: free ? undefined : ceiling,
        evaluate: (bits) => {
          const policy: Policy = { ...decided, bits: { ...decided.bits, ...bits } };
          const step = Object.keys(bits).length;
          const partial = step < layers.length;
          const key = `quantize:${Object.entries(bits)
            .map(([n, b]) => `${n}=${b}`)
            .join(',')}`;
          return scorer.score(key, policy, partial, step - 1, actor, async () => ({ accuracy: await measure(policy, partial, actor) }));
        },
      }),
    // One byte is left for rounding.
    excess: (candidate: Candidate) => Math.max(0, candidate.cost.weightBytes / (ceiling + rest + 1) - 1),
    keep,
  };
}

/** Bits at an action, a fraction of the layer's own range. */
const bitsAt = ({ bits }: OpenLayer, action: number): number => Math.round(bits[0] + action * (bits[bits.length - 1] - bits[0]));

/** The one action that takes as many bits as the budget allows when it is the same for every layer. */
function uniformFraction(layers: readonly OpenLayer[], ceiling: number): number | undefined {
  for (let step = 100; step >= 0; step--) {
    const action = step / 100;
    if (layers.reduce((sum, l) => sum + l.bytes(bitsAt(l, action)), 0) <= ceiling) return action;
  }
  return undefined;
}
