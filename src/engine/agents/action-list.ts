/** The values that an action may have, for agents that choose among a few. */
import type { ActionBounds } from './agent';

/** Bounds come from the same arithmetic as actions, up to rounding. */
const TOLERANCE = 1e-9;

export class ActionList {
  /** @param values at least one */
  constructor(readonly values: readonly number[]) {}

  get length(): number {
    return this.values.length;
  }

  /** Indices of the actions within bounds; the nearest one where there is none. */
  within({ low, high }: ActionBounds): number[] {
    const inside = [...this.values.keys()].filter((i) => this.values[i] >= low - TOLERANCE && this.values[i] <= high + TOLERANCE);
    return inside.length > 0 ? inside : [this.nearest((low + high) / 2)];
  }

  /**
   * Index of the action nearest to a value, which an environment may have rounded or cut to bounds; the first one on a tie.
   * @param among indices to choose from; default all
   */
  nearest(value: number, among: readonly number[] = [...this.values.keys()]): number {
    return among.reduce((a, i) => (Math.abs(this.values[i] - value) < Math.abs(this.values[a] - value) ? i : a), among[0]);
  }
}
