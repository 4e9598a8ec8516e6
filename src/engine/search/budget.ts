/**
 * Budgets by bounding actions (AMC, He et al. 2018, algorithm 1, made two-sided): before each decision the range of widths is
 * narrowed so that the budget can still be met when every later group is cut as far as it may be, and so that no more is cut than
 * needed when every later group is kept whole. Every policy an agent proposes then lies within the budget, by construction.
 */
import type { ActionBounds } from '../agents/agent';

/** What a group may keep: widths in descending order (the first is whole, or the most an override allows). */
export interface WidthChoices {
  /** Channels of the group before pruning. */
  readonly channels: number;
  readonly widths: readonly number[];
}

/** Cost of the whole model when group i keeps `kept[i]` channels. */
export type WidthCost = (kept: readonly number[]) => number;

export interface Budget {
  /** Cost may not exceed this. */
  readonly ceiling: number;
  /** Cost should not fall below this: cutting deeper than asked only loses accuracy. */
  readonly floor: number;
}

export const ratioOf = (kept: number, channels: number): number => 1 - kept / channels;

/** The width among those allowed whose ratio is nearest to `ratio`; the wider one on a tie. */
export function nearestWidth(choices: WidthChoices, ratio: number): number {
  let best = choices.widths[0];
  for (const w of choices.widths) {
    if (Math.abs(ratioOf(w, choices.channels) - ratio) < Math.abs(ratioOf(best, choices.channels) - ratio) - 1e-12) best = w;
  }
  return best;
}

/**
 * Widths of group `index` that keep the budget reachable, given those decided before it.
 * Never empty: where nothing meets the budget the narrowest width is left (the run says beforehand that the budget is out of reach),
 * and where every width would overshoot the floor the widest is.
 */
export function allowedWidths(
  choices: readonly WidthChoices[],
  index: number,
  decided: readonly number[],
  cost: WidthCost,
  budget: Budget,
): readonly number[] {
  const own = choices[index].widths;
  const later = choices.slice(index + 1);
  const narrowest = later.map((c) => c.widths[c.widths.length - 1]);
  const widest = later.map((c) => c.widths[0]);
  const head = decided.slice(0, index);
  const reachable = own.filter((w) => cost([...head, w, ...narrowest]) <= budget.ceiling);
  if (reachable.length === 0) return [own[own.length - 1]];
  const needed = reachable.filter((w) => cost([...head, w, ...widest]) >= budget.floor);
  return needed.length > 0 ? needed : [reachable[0]];
}

/** The same as a range of ratios, as the agent sees it. */
export function ratioBounds(widths: readonly number[], channels: number): ActionBounds {
  return { low: ratioOf(widths[0], channels), high: ratioOf(widths[widths.length - 1], channels) };
}

/** The least cost that these choices can reach. */
export const leastCost = (choices: readonly WidthChoices[], cost: WidthCost): number =>
  cost(choices.map((c) => c.widths[c.widths.length - 1]));
