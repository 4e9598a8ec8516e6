import type { Random } from '../../random';
import type { ActionBounds, Environment, Observation, Outcome, RewardFunction, Step, StepResult } from '../agent';
import { clip } from '../exploration';

/** A small environment whose best actions are known, so that an agent's can be judged. */
export interface KnownAnswer extends Environment {
  readonly name: string;
  /** The best action for each step. */
  readonly answer: readonly number[];
  /** The agent's reward for an outcome. */
  readonly reward: RewardFunction;
  /** Sum over an episode of the rewards that these (executed) actions have without noise. */
  value(actions: readonly number[]): number;
  /** What each step observes, as far as it is known before an episode begins. */
  readonly sequence: readonly Observation[];
}

export const accuracyReward: RewardFunction = (outcome) => outcome.accuracy;

/** Shared frame: steps in order, actions clipped to bounds; observation [t, progress, the step's two features]. */
abstract class StepwiseEnvironment implements KnownAnswer {
  abstract readonly name: string;
  abstract readonly answer: readonly number[];
  readonly reward = accuracyReward;
  readonly observationSize = 4;
  protected executed: number[] = [];
  private readonly features: readonly (readonly [number, number])[];

  constructor(
    readonly steps: number,
    random: Random,
  ) {
    this.features = Array.from({ length: steps }, () => [random.uniform(), random.uniform()] as const);
  }

  /** In [0, 1], for the step just executed, without noise. */
  protected abstract accuracy(step: number, action: number): number;

  protected bounds(_executed: readonly number[]): ActionBounds {
    return { low: 0, high: 1 };
  }

  /** In [0, 1]: what the decisions so far mean for the rest. */
  protected progress(executed: readonly number[]): number {
    return executed.length > 0 ? executed[executed.length - 1] : 0;
  }

  protected measured(accuracy: number): number {
    return accuracy;
  }

  async reset(): Promise<Step> {
    this.executed = [];
    return this.current();
  }

  async step(action: number): Promise<StepResult> {
    const t = this.executed.length;
    const { low, high } = this.bounds(this.executed);
    const executed = clip(action, low, high);
    this.executed.push(executed);
    const outcome: Outcome = {
      accuracy: this.measured(this.accuracy(t, executed)),
      flops: 1 - this.used(),
      measures: {},
    };
    const done = t === this.steps - 1;
    return { executed, outcome, next: done ? undefined : this.current(), done };
  }

  value(actions: readonly number[]): number {
    return actions.reduce((sum, action, t) => sum + this.accuracy(t, action), 0);
  }

  /** What each step observes, as far as it is known before an episode begins. */
  get sequence(): readonly Observation[] {
    return this.features.map((f, t) => [this.steps > 1 ? t / (this.steps - 1) : 0, 0, ...f]);
  }

  private used(): number {
    return this.executed.reduce((sum, a) => sum + a, 0) / this.steps;
  }

  private current(): Step {
    const t = this.executed.length;
    const observation = [this.steps > 1 ? t / (this.steps - 1) : 0, this.progress(this.executed), ...this.features[t]];
    return { observation, bounds: this.bounds(this.executed) };
  }
}

/** Each step has its target: reward 1 − (a − target(t))². The continuous form of stable-baselines3's identity environment. */
export class IdentityBandit extends StepwiseEnvironment {
  readonly name: string = 'identity bandit';
  readonly answer: readonly number[];

  constructor(random: Random, steps = 8) {
    super(steps, random);
    this.answer = Array.from({ length: steps }, () => random.between(0.1, 0.9));
  }

  protected accuracy(step: number, action: number): number {
    return 1 - (action - this.answer[step]) ** 2;
  }
}

/**
 * Keep (0) or remove (1) each of several units: removing one pays 0.5, and costs what the unit is worth, which its first feature says.
 * An agent has to learn where along that feature the worth passes 0.5.
 */
export class KeepRemove extends StepwiseEnvironment {
  readonly name: string = 'keep or remove';
  readonly answer: readonly number[];
  private readonly worth: readonly number[];

  constructor(random: Random, steps = 24) {
    super(steps, random);
    this.worth = this.sequence.map((o) => 0.9 - 0.8 * o[2]);
    this.answer = this.worth.map((w) => (w < 0.5 ? 1 : 0));
  }

  protected accuracy(step: number, action: number): number {
    return 0.5 + 0.5 * (action >= 0.5 ? 0.5 - this.worth[step] : 0);
  }

  /** What was decided before says nothing. */
  protected override progress(): number {
    return 0;
  }
}

/** Units in pairs: of each, removing one pays and removing both costs more than it; the second one's gain depends on the first action. */
export class KeepRemovePairs extends StepwiseEnvironment {
  readonly name: string = 'keep or remove, in pairs';
  readonly answer: readonly number[];

  constructor(random: Random, steps = 24) {
    super(steps, random);
    this.answer = Array.from({ length: steps }, (_, t) => t % 2);
  }

  override value(actions: readonly number[]): number {
    this.executed = [...actions];
    return super.value(actions);
  }

  protected accuracy(step: number, action: number): number {
    const removed = action >= 0.5;
    if (step % 2 === 0) return removed ? 0.55 : 0.5;
    const both = removed && this.executed[step - 1] >= 0.5;
    return both ? 0.2 : removed ? 0.7 : 0.5;
  }
}

/** The identity bandit, its rewards measured with noise (cut to [0, 1], as accuracies are). */
export class NoisyBandit extends IdentityBandit {
  override readonly name = 'noisy bandit';

  constructor(
    private readonly random: Random,
    private readonly deviation = 0.1,
    steps = 8,
  ) {
    super(random, steps);
  }

  protected override measured(accuracy: number): number {
    // Shifted down, so that cutting at 1 does not hide which action is better.
    return clip(accuracy - 0.25 + this.deviation * this.random.normal(), 0, 1);
  }
}

/**
 * Steps that depend on each other through a budget: the actions must sum to at least half of the steps, and a step costs sensitivity·a².
 * What is not removed early must be removed late: bounds rise as the budget runs out. The answer is a = λ/sensitivity, cut at 1.
 */
export class BudgetChain extends StepwiseEnvironment {
  readonly name = 'budget chain';
  readonly answer: readonly number[];
  private readonly sensitivities: readonly number[];

  constructor(random: Random, steps = 8) {
    super(steps, random);
    this.sensitivities = Array.from({ length: steps }, () => random.between(0.05, 1));
    this.answer = this.waterFilled();
  }

  protected accuracy(step: number, action: number): number {
    return 1 - this.sensitivities[step] * action ** 2;
  }

  protected override bounds(executed: readonly number[]): ActionBounds {
    const used = executed.reduce((sum, a) => sum + a, 0);
    const later = this.steps - executed.length - 1;
    return { low: clip(this.steps / 2 - used - later, 0, 1), high: 1 };
  }

  /** The mean action that the remaining steps must have. */
  protected override progress(executed: readonly number[]): number {
    const used = executed.reduce((sum, a) => sum + a, 0);
    return clip((this.steps / 2 - used) / (this.steps - executed.length), 0, 1);
  }

  /** λ by bisection, so that the actions just meet the budget. */
  private waterFilled(): number[] {
    const at = (lambda: number) => this.sensitivities.map((s) => Math.min(1, lambda / s));
    let low = 0;
    let high = 1;
    for (let i = 0; i < 60; i++) {
      const middle = (low + high) / 2;
      if (at(middle).reduce((sum, a) => sum + a, 0) < this.steps / 2) low = middle;
      else high = middle;
    }
    return at(high);
  }
}
