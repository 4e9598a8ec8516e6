/** What the config leaves to the agent: the widths of each group, the bits of each layer, and the budgets as bounds on both. */
import type { Config } from '../../protocol/config';
import { absoluteBudget } from '../../protocol/config';
import { overrideFor } from '../../protocol/layer-overrides';
import { scaledPolicy } from '../agents/scaled-policy';
import { UserError } from '../errors';
import type { ChannelGroup } from '../graph/channel-group';
import type { CostAfter, ModelCosts } from '../graph/costs';
import type { Layer } from '../graph/layers';
import { widthsOf } from '../pruning/round-widths';
import { type Budget, leastCost, nearestWidth, ratioOf, type WidthChoices, type WidthCost } from './budget';

/** Largest share of a group's channels that goes where no override says otherwise. */
const MOST_PRUNED = 0.9;
/** How far below a budget a policy may end, as a share of the original. */
const TOLERANCE = 0.03;

/** Names by which overrides may call a group: its id and the layers that make or read its channels. */
export const groupNames = (g: ChannelGroup): string[] => [g.id, ...g.producers.flatMap((m) => m.layers)];

/** True where an addition makes several layers share the channels: a residual stream. */
export const isResidual = (g: ChannelGroup): boolean => g.couplings.some((c) => /^(Add|Sum)\b/.test(c));

/** Widths the agent may choose for a group, widest first; one width where it is fixed. undefined where the group is skipped. */
export function widthChoices(group: ChannelGroup, config: Config): WidthChoices | undefined {
  const override = overrideFor(config.layers, groupNames(group));
  if (override?.skip) return undefined;
  const named = override?.ratio !== undefined || override?.minRatio !== undefined || override?.maxRatio !== undefined;
  if (config.pruning.residual === 'keep' && !named && isResidual(group)) return undefined;
  const n = group.channels;
  const grid = widthsOf(group, config.pruning.widthMultiple);
  if (override?.ratio !== undefined) {
    const wanted = override.ratio;
    const nearest = grid.reduce((a, w) => (Math.abs(ratioOf(w, n) - wanted) < Math.abs(ratioOf(a, n) - wanted) ? w : a));
    return { channels: n, widths: [nearest] };
  }
  const low = override?.minRatio ?? 0;
  const high = override?.maxRatio ?? MOST_PRUNED;
  const widths = grid.filter((w) => ratioOf(w, n) >= low - 1e-9 && ratioOf(w, n) <= high + 1e-9);
  return { channels: n, widths: widths.length > 0 ? widths : [grid[0]] };
}

/** Bits the agent may choose for a layer, ascending; one where they are fixed; undefined where the layer stays float. */
export function bitChoices(layer: Layer, index: number, count: number, config: Config): number[] | undefined {
  const override = overrideFor(config.layers, [layer.name, layer.weight.replace(/\.weight$/, '')]);
  if (override?.skip) return undefined;
  if (override?.bits !== undefined) return override.bits > 8 ? undefined : [override.bits];
  const q = config.quantization;
  const own = index === 0 ? q.first : index === count - 1 ? q.last : q;
  const low = override?.minBits ?? own.minBits;
  const high = Math.max(low, override?.maxBits ?? own.maxBits);
  return Array.from({ length: high - low + 1 }, (_, i) => low + i);
}

export interface PruneBudget {
  /** Largest of cost/limit over the goal's limits: at most 1 within the goal. */
  readonly cost: WidthCost;
  readonly budget: Budget;
}

/**
 * The goal's limits on parameters and FLOPs as one cost that may not exceed 1.
 * @throws UserError where even the narrowest widths miss the goal, saying what can be reached
 */
export function pruneBudget(
  ids: readonly string[],
  choices: readonly WidthChoices[],
  costs: ModelCosts,
  after: CostAfter,
  config: Config,
  quantizes: boolean,
): PruneBudget | undefined {
  const { goal } = config;
  const kept = (widths: readonly number[]): Record<string, number> => Object.fromEntries(widths.map((w, i) => [ids[i], w]));
  const limits: Array<{ name: string; original: number; limit: number; of: (w: readonly number[]) => number }> = [];
  const add = (name: 'macs' | 'params' | 'weightBytes', label: string, value: number | undefined) => {
    if (value === undefined) return;
    limits.push({ name: label, original: costs[name], limit: absoluteBudget(value, costs[name]), of: (w) => after(kept(w))[name] });
  };
  add('macs', 'goal.flops', goal.flops);
  add('params', 'goal.params', goal.params);
  if (!quantizes) add('weightBytes', 'goal.bytes', goal.bytes);
  if (limits.length === 0) return undefined;
  for (const l of limits) {
    const least = leastCost(choices, l.of);
    if (least > l.limit) {
      throw new UserError(
        `${l.name}: at most ${Math.round(l.limit)} of ${Math.round(l.original)} (${percent(l.limit / l.original)}) cannot be reached; the narrowest widths allowed still need ${percent(least / l.original)}`,
        'Raise the budget, or allow more: "pruning.residual": "prune", "layers" (maxRatio), or narrower groups ("pruning.widthMultiple": 1).',
      );
    }
  }
  const cost: WidthCost = (w) => Math.max(...limits.map((l) => l.of(w) / l.limit));
  const tightest = Math.max(...limits.map((l) => l.original / l.limit));
  return { cost, budget: { ceiling: 1, floor: Math.max(0, 1 - TOLERANCE * tightest) } };
}

const percent = (x: number): string => `${(100 * x).toFixed(1)} %`;

/** The one ratio that, taken for every group, comes closest to the budget from below; 0.5 without a budget. */
export function uniformRatio(choices: readonly WidthChoices[], budget: PruneBudget | undefined): number {
  if (!budget) return 0.5;
  for (let percent = 0; percent <= 100 * MOST_PRUNED; percent++) {
    // Rounded as the environment rounds it, ties included.
    const ratio = percent / 100;
    const widths = choices.map((c) => nearestWidth(c, ratio));
    if (budget.cost(widths) <= budget.budget.ceiling) return ratio;
  }
  return MOST_PRUNED;
}

/** How far the ratios of the first and the last group lie from the middle one, as a share of it. */
const TILT = 0.5;

/**
 * Policies just within a budget whose ratios change evenly with depth: early groups pruned most, then late groups pruned most. Which of them
 * suits a network is not known beforehand, but one often does better than the same ratio for all.
 * @param relativeCost of a ratio for each group; at most 1 within the budget
 */
export function tiltedRatios(choices: readonly WidthChoices[], relativeCost: (ratios: readonly number[]) => number): number[][] {
  const last = choices.length - 1;
  if (last < 1) return [];
  const highest = choices.map(({ widths, channels }) => ratioOf(Math.min(...widths), channels));
  return [-TILT, TILT].flatMap((tilt) => {
    const shape = choices.map((_, i) => 1 + tilt * ((2 * i) / last - 1));
    const scaled = scaledPolicy(shape, { name: '', relativeCost }, highest);
    return scaled ? [scaled] : [];
  });
}
