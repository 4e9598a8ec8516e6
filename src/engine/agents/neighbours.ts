/**
 * Policies near a known one, within the budget. Actions in the order of the steps leave what an early one takes to the last layers: whoever explores
 * step by step always changes those most. Here a whole policy is changed at once: a few layers by a level or two, and then others, drawn at
 * random, by a level at a time, until the budget is met and nothing is left of it.
 */
import type { Random } from '../random';
import { ActionList } from './action-list';

/** What a neighbour must keep to. */
export interface Neighbourhood {
  /** Actions that each step can execute, in the order of falling cost. */
  readonly levels: ReadonlyArray<readonly number[]>;
  /** Cost of a whole policy relative to its budget, by task: at most 1 within it. */
  readonly costs: ReadonlyMap<string, (actions: readonly number[]) => number>;
}

/** Share of the changes that are two levels instead of one. */
const TWO_LEVELS = 0.3;
/** Steps that are changed at most, how many policies are drawn, and after how many draws one step more may be changed. */
const MOST_CHANGES = 3;
const ATTEMPTS = 60;
const PATIENCE = 12;

/**
 * Up to `wanted` neighbours of a policy that were not tried yet: further and further away where all that is near was.
 * @param from actions, one for each step
 * @returns none where the task has no budget, or nothing untried was found
 */
export function untriedNeighbours(
  { levels, costs }: Neighbourhood,
  task: string,
  from: readonly number[],
  wanted: number,
  tried: (actions: readonly number[]) => boolean,
  random: Random,
): number[][] {
  const relativeCost = costs.get(task);
  const found: number[][] = [];
  // A policy of a state of an older version has no actions.
  if (!relativeCost || from.length !== levels.length) return found;
  for (let attempt = 0; attempt < ATTEMPTS && found.length < wanted; attempt++) {
    const changes = 1 + random.below(MOST_CHANGES + Math.floor(attempt / PATIENCE));
    const policy = neighbour(levels, from, changes, relativeCost, random);
    if (!tried(policy)) found.push(policy);
  }
  return found;
}

/**
 * @param from actions, one for each step; each counts as the level that is nearest to it
 * @param changes steps that are changed before the budget is restored
 * @returns actions; not within the budget where no policy is
 */
export function neighbour(
  levels: Neighbourhood['levels'],
  from: readonly number[],
  changes: number,
  relativeCost: (actions: readonly number[]) => number,
  random: Random,
): number[] {
  const chosen = from.map((action, step) => new ActionList(levels[step]).nearest(action));
  const actions = (): number[] => chosen.map((level, step) => levels[step][level]);
  const open = levels.flatMap((own, step) => (own.length > 1 ? [step] : []));
  const order = Array.from(random.permutation(open.length), (i) => open[i]);
  for (const step of order.slice(0, changes)) {
    const deepest = levels[step].length - 1;
    const by = random.uniform() < TWO_LEVELS ? 2 : 1;
    const deeper = chosen[step] === 0 || (chosen[step] < deepest && random.uniform() < 0.5);
    chosen[step] = deeper ? Math.min(deepest, chosen[step] + by) : Math.max(0, chosen[step] - by);
  }
  const others = order.slice(changes);
  const anyOf = (steps: readonly number[], may: (step: number) => boolean): number | undefined => {
    const able = steps.filter(may);
    return able.length > 0 ? able[random.below(able.length)] : undefined;
  };
  while (relativeCost(actions()) > 1) {
    const canFall = (step: number): boolean => chosen[step] < levels[step].length - 1;
    // What was changed is touched only where all else is at its deepest.
    const step = anyOf(others, canFall) ?? anyOf(order, canFall);
    if (step === undefined) break;
    chosen[step]++;
  }
  for (;;) {
    const canRise = (step: number): boolean =>
      chosen[step] > 0 && relativeCost(chosen.map((level, i) => levels[i][i === step ? level - 1 : level])) <= 1;
    const step = anyOf(others, canRise);
    if (step === undefined) return actions();
    chosen[step]--;
  }
}
