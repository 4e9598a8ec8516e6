/** Stage 1 as an environment: one step decides the width of one channel group, in the order of the graph. */
import type { ActionBounds, Environment, Observation, Outcome, Step, StepResult } from '../agents/agent';
import { allowedWidths, type Budget, nearestWidth, ratioBounds, ratioOf, type WidthChoices, type WidthCost } from './budget';
import { amcFeatures, type Features, scaledFeatures } from './layer-features';

/** One decision: a group keeps so many channels. */
export type WidthDecision = readonly [group: string, kept: number];

/** 'paper001': the 8 numbers of two-stage PPO. 'amc': the 11 of AMC (He et al. 2018, section 3.1), and the episode's target where there are several. */
export type PruneObservation = 'paper001' | 'amc';

/** A budget of several that one search serves (CACP, Liu et al. 2021). */
export interface PruneTarget {
  /** Share of the original's FLOPs, in (0, 1]: what the agent is told. */
  readonly share: number;
  readonly cost: WidthCost;
  readonly budget: Budget;
}

export interface PruneProblem {
  readonly groups: ReadonlyArray<{ readonly id: string; readonly choices: WidthChoices; readonly features: Features }>;
  readonly cost: WidthCost;
  /** Absent: actions are bounded by each group's own widths only. */
  readonly budget?: Budget;
  /** Absent: 'paper001'. */
  readonly observation?: PruneObservation;
  /** FLOPs of the whole model, which AMC's observation reads. */
  readonly flops?: WidthCost;
  /** The target of the episode that begins; it takes the place of `cost` and `budget`. */
  readonly drawTarget?: () => PruneTarget;
  /** Measures the model with these groups cut and all later ones whole. */
  evaluate(decisions: readonly WidthDecision[]): Promise<Outcome>;
}

export class PruneEnvironment implements Environment {
  readonly observationSize: number;
  readonly steps: number;
  private readonly features: number[][];
  private kept: number[] = [];
  private target: PruneTarget | undefined;

  constructor(private readonly problem: PruneProblem) {
    const { groups, observation, drawTarget } = problem;
    this.steps = groups.length;
    const features = groups.map((g) => g.features);
    this.features = observation === 'amc' ? amcFeatures(features) : scaledFeatures(features);
    this.observationSize = (observation === 'amc' ? 11 : 8) + (drawTarget ? 1 : 0);
  }

  reset(): Promise<Step> {
    this.kept = [];
    this.target = this.problem.drawTarget?.();
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
    const { groups } = this.problem;
    const { cost, budget } = this.target ?? this.problem;
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
    const target = this.target ? [this.target.share] : [];
    if (this.problem.observation === 'amc') return [...this.features[t], ...this.progress(t), ...target];
    const [index, n, c, kh, kw, stride, flops] = this.features[t];
    return [index, n, c, kh, kw, stride, bounds.high, flops, ...target];
  }

  /** AMC's moving numbers: FLOPs removed so far and FLOPs of the groups to come, as shares; the last action. */
  private progress(t: number): [reduced: number, rest: number, last: number] {
    const { groups, flops } = this.problem;
    const whole = groups.map((g) => g.choices.channels);
    const all = flops?.(whole) ?? 0;
    const now = flops?.(whole.map((w, i) => this.kept[i] ?? w)) ?? 0;
    const total = groups.reduce((sum, g) => sum + g.features.flops, 0);
    const later = groups.slice(t + 1).reduce((sum, g) => sum + g.features.flops, 0);
    return [all > 0 ? 1 - now / all : 0, total > 0 ? later / total : 0, t > 0 ? ratioOf(this.kept[t - 1], whole[t - 1]) : 0];
  }
}
