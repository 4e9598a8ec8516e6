/** The Pareto front: candidates that no other beats on every objective at once. */

/** An objective: larger is better after `value`. */
export interface Objective<T> {
  readonly name: string;
  readonly value: (item: T) => number;
}

/** True where `a` is at least as good as `b` everywhere and better somewhere. */
export function dominates<T>(a: T, b: T, objectives: ReadonlyArray<Objective<T>>): boolean {
  let better = false;
  for (const { value } of objectives) {
    const d = value(a) - value(b);
    if (d < 0 || Number.isNaN(d)) return false;
    if (d > 0) better = true;
  }
  return better;
}

/** A front that takes items one by one. Items equal in every objective to one that is there are turned away, so the first stays. */
export class ParetoFront<T> {
  private members: T[] = [];

  constructor(private readonly objectives: ReadonlyArray<Objective<T>>) {}

  /** Returns true where the item entered the front (and drove out what it dominates). */
  add(item: T): boolean {
    for (const m of this.members) {
      if (dominates(m, item, this.objectives) || this.objectives.every(({ value }) => value(m) === value(item))) return false;
    }
    this.members = this.members.filter((m) => !dominates(item, m, this.objectives));
    this.members.push(item);
    return true;
  }

  items(): readonly T[] {
    return this.members;
  }
}
