/** Carries what is good for one budget over to another: the same proportions between the layers, more or less of everything. */

/** One of several tasks that one agent serves, each with a budget of its own. */
export interface Task {
  /** The numbers that end every observation of its episodes, joined by a space. */
  readonly name: string;
  /** Cost of a whole policy (an action for each step) relative to the task's budget: at most 1 within it. */
  readonly relativeCost: (actions: readonly number[]) => number;
}

/** Halvings of the interval of factors: far below what rounding to whole channels leaves. */
const HALVINGS = 30;
/** No policy is scaled further than this. */
const LARGEST_FACTOR = 10;

/**
 * A policy times the smallest factor with which it is within the task's budget, no action beyond its step's highest.
 * @param actions shares removed, in [0, 1], for each step; more of them never costs more
 * @param highest of each step
 * @returns undefined where no factor up to 10 meets the budget
 */
export function scaledPolicy(actions: readonly number[], task: Task, highest: readonly number[]): number[] | undefined {
  const times = (factor: number): number[] => actions.map((a, i) => Math.min(highest[i], factor * a));
  let [low, high] = [0, LARGEST_FACTOR];
  if (task.relativeCost(times(high)) > 1) return undefined;
  for (let i = 0; i < HALVINGS; i++) {
    const middle = (low + high) / 2;
    if (task.relativeCost(times(middle)) <= 1) high = middle;
    else low = middle;
  }
  return times(high);
}
