/** Stage 1 as an environment: one step decides the width of one channel group, in the order of the graph. */
import type { ActionBounds, Environment, Observation, Outcome, Step, StepResult } from '../agents/agent';
import { allowedWidths, type Budget, nearestWidth, ratioBounds, ratioOf, type WidthChoices, type WidthCost } from './budget';
import { type Features, scaledFeatures } from './layer-features';

/** One decision: a group keeps so many channels. */
export type WidthDecision = readonly [group: string, kept: number];

export interface PruneProblem {
  readonly groups: ReadonlyArray<{ readonly id: string; readonly choices: WidthChoices; readonly features: Features }>;
  readonly cost: WidthCost;
  /** Absent: actions are bounded by each group's own widths only. */
  readonly budget?: Budget;
  /** Measures the model with these groups cut and all later ones whole. */
  evaluate(decisions: readonly WidthDecision[]): Promise<Outcome>;
}

export class PruneEnvironment implements Environment {
  readonly observationSize = 8;
  readonly steps: number;
  private readonly features: number[][];
  private kept: number[] = [];

  constructor(private readonly problem: PruneProblem) {
    this.steps = problem.groups.length;
    this.features = scaledFeatures(problem.groups.map((g) => g.features));
  }

  reset(): Promise<Step> {
    this.kept = [];
    return Promise.resolve(this.current()!);
  }

  async step(action: number): Promise<StepResult> {
    const t = this.kept.length;
    const { choices } = this.problem.groups[t];
    const kept = nearestWidth({ channels: choices.channels, widths: this.widths(t) }, action);
    this.kept.push(kept);
    const outcome = await this.problem.evaluate(this.decisions());
    const next = this.current();
    return { executed: ratioOf(kept, choices.channels), outcome, next, done: next === undefined };
  }

  /** What was decided in this episode so far. */
  decisions(): WidthDecision[] {
    return this.kept.map((k, i) => [this.problem.groups[i].id, k] as const);
  }

  private widths(t: number): readonly number[] {
    const { groups, cost, budget } = this.problem;
    if (!budget) return groups[t].choices.widths;
    return allowedWidths(
      groups.map((g) => g.choices),
      t,
      this.kept,
      cost,
      budget,
    );
  }

  private current(): Step | undefined {
    const t = this.kept.length;
    if (t >= this.steps) return undefined;
    const bounds = ratioBounds(this.widths(t), this.problem.groups[t].choices.channels);
    return { observation: this.observe(t, bounds), bounds };
  }

  private observe(t: number, bounds: ActionBounds): Observation {
    const [index, n, c, kh, kw, stride, flops] = this.features[t];
    return [index, n, c, kh, kw, stride, bounds.high, flops];
  }
}
