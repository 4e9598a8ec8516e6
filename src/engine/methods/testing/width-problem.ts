/** A pruning problem that takes no time: costs as of a chain of layers, accuracy by a formula whose sensitive layers are known. */
import { absoluteBudget, type Config } from '../../../protocol/config';
import type { Candidate, Policy } from '../../../protocol/policy';
import type { WidthChoices } from '../../search/budget';
import type { PruneBudget } from '../../search/choices';
import type { WidthDecision } from '../../search/prune-environment';
import { searchStage } from '../../search/search-stage';
import { bestForTargets, keptChannels, type TargetResult, type WidthGroup, widthStage } from '../../search/width-stage';
import { findMethod } from '../registry';
import { type Play, type PlayOptions, playStage } from './play';

/** Channels of each group, its share of the MACs, and how much accuracy goes with it (loss = sensitivity · ratio²). */
const LAYERS = [
  { channels: 16, macs: 100, sensitivity: 0.6 },
  { channels: 16, macs: 300, sensitivity: 0.05 },
  { channels: 32, macs: 200, sensitivity: 0.4 },
  { channels: 32, macs: 400, sensitivity: 0.02 },
  { channels: 64, macs: 150, sensitivity: 0.3 },
] as const;
const ACCURACY = 0.95;

const choices: WidthChoices[] = LAYERS.map(({ channels }) => ({
  channels,
  widths: Array.from({ length: 8 }, (_, i) => channels - (i * channels) / 8),
}));

export const groups: WidthGroup[] = LAYERS.map(({ channels, macs }, index) => ({
  id: `g${index}`,
  choices: choices[index],
  features: { index, outChannels: channels, inChannels: channels, kernel: [3, 3], stride: 1, flops: macs, map: [8, 8] },
}));

/** A group's layers cost in proportion to its width and half to that of the group before. */
export function macsOf(kept: readonly number[]): number {
  return LAYERS.reduce((sum, { macs, channels }, i) => {
    const before = i > 0 ? kept[i - 1] / LAYERS[i - 1].channels : 1;
    return sum + macs * (kept[i] / channels) * (0.5 + 0.5 * before);
  }, 0);
}

const WHOLE = macsOf(LAYERS.map((l) => l.channels));

export function accuracyOf(kept: readonly number[]): number {
  return ACCURACY - LAYERS.reduce((sum, { sensitivity, channels }, i) => sum + sensitivity * (1 - kept[i] / channels) ** 2, 0);
}

/** What a stopwatch would say: something apart and a part in proportion to the MACs. */
const millisecondsOf = (kept: readonly number[]): number => 1 + macsOf(kept) / 100;

const budgetFor = (flops: number): PruneBudget => {
  const limit = absoluteBudget(flops, WHOLE);
  return { cost: (kept) => macsOf(kept) / limit, budget: { ceiling: 1, floor: Math.max(0, 1 - (0.03 * WHOLE) / limit) } };
};

export interface Played extends Play {
  readonly targets: readonly TargetResult[];
  /** Policies that were measured, in order (a resumed run does not measure again what its journal has). */
  readonly measured: ReadonlyArray<readonly WidthDecision[]>;
}

/** A whole stage with a method, in a run folder that is removed afterwards. */
export async function play(name: Config['method']['name'], options: PlayOptions = {}): Promise<Played> {
  const { macs, params, weightBytes } = costOf(LAYERS.map((l) => l.channels));
  const targetsOf = (config: Config) => (findMethod(name).targets?.(config) ?? []).map((share) => ({ share, ...budgetFor(share) }));
  const played = await playStage(
    name,
    {
      input: { goal: { flops: 0.5 }, search: { episodes: 60, actors: 2 }, agent: { hidden: 16, minibatch: 16 } },
      original: { accuracy: ACCURACY, flops: macs, params, bytes: weightBytes, sparsity: 0 },
      run: (context, count) => {
        const { config } = context;
        return searchStage(
          context,
          widthStage({
            config,
            groups,
            budget: config.goal.flops === undefined ? undefined : budgetFor(config.goal.flops),
            targets: targetsOf(config),
            flops: macsOf,
            cost: (policy: Policy) => costOf(keptChannels(policy, groups)),
            measure: async (decisions) => {
              count(decisions);
              const kept = new Map(decisions);
              const widths = groups.map((g) => kept.get(g.id) ?? g.choices.channels);
              const accuracy = Math.max(0, accuracyOf(widths));
              return config.goal.latency === undefined ? { accuracy } : { accuracy, latency: millisecondsOf(widths) };
            },
            keep: async () => {},
          }),
        );
      },
    },
    { options: { hidden: 24, minibatch: 16, actorLearningRate: 3e-3, criticLearningRate: 1e-2 }, ...options },
  );
  return {
    ...played,
    measured: played.measured as Played['measured'],
    targets: bestForTargets(played.candidates, targetsOf(played.config), groups),
  };
}

function costOf(kept: readonly number[]): Candidate['cost'] {
  const macs = macsOf(kept);
  return { macs, effectiveMacs: macs, params: 10 * macs, effectiveParams: 10 * macs, weightBytes: 40 * macs };
}
