/** RLP's environment: one step decides whether one filter of a layer stays (0) or goes (1). */
import type { Environment, Observation, Outcome, Step, StepResult } from '../agents/agent';

export interface FilterProblem {
  /** What is seen of each filter, numbers in [0, 1], all of one length. */
  readonly filters: readonly Observation[];
  /** Fewest and most filters that may go. One always stays. */
  readonly fewest: number;
  readonly most: number;
  /** Measures the model without these filters (indices, ascending). */
  evaluate(removed: readonly number[], decided: number): Promise<Outcome>;
}

export class FilterEnvironment implements Environment {
  readonly observationSize: number;
  readonly steps: number;
  private removed: number[] = [];
  private decided = 0;

  constructor(private readonly problem: FilterProblem) {
    this.steps = problem.filters.length;
    this.observationSize = problem.filters[0].length;
  }

  reset(): Promise<Step> {
    this.removed = [];
    this.decided = 0;
    return Promise.resolve(this.current()!);
  }

  async step(action: number): Promise<StepResult> {
    const { low, high } = this.current()!.bounds;
    const executed = action >= 0.5 ? high : low;
    if (executed === 1) this.removed.push(this.decided);
    this.decided++;
    const outcome = await this.problem.evaluate([...this.removed], this.decided);
    const next = this.current();
    return { executed, outcome, next, done: next === undefined };
  }

  private current(): Step | undefined {
    const { filters, fewest, most } = this.problem;
    if (this.decided >= this.steps) return undefined;
    const gone = this.removed.length;
    const later = this.steps - this.decided - 1;
    const bounds = { low: gone + later < fewest ? 1 : 0, high: gone < Math.min(most, this.steps - 1) ? 1 : 0 };
    return { observation: filters[this.decided], bounds: { low: Math.min(bounds.low, bounds.high), high: bounds.high } };
  }
}
