/** Stage 1 over single weights as an environment: one step decides the sparsity of one layer, in the order of the graph. */
import type { ActionBounds, Environment, Observation, Outcome, Step, StepResult } from '../agents/agent';
import { type Features, scaledFeatures } from './layer-features';
import type { MaskLevel } from './weight-mask-layers';

/** One decision: this share of a layer's weights is held at zero. */
export type MaskDecision = readonly [layer: string, sparsity: number];

export interface MaskBudget {
  /** Cost of a whole policy relative to the budget, a sparsity for each layer: at most 1 within it. Falls with every sparsity. */
  readonly relativeCost: (sparsities: readonly number[]) => number;
}

export interface MaskProblem {
  readonly layers: ReadonlyArray<{
    readonly name: string;
    readonly weights: number;
    readonly levels: readonly MaskLevel[];
    readonly features: Features;
  }>;
  /** Absent: actions are bounded by each layer's own levels only. */
  readonly budget?: MaskBudget;
  /** Accuracy of the original model, in [0, 1]: what the first step observes. */
  readonly accuracy: number;
  /** Measures the model with these layers masked and all later ones dense. */
  evaluate(decisions: readonly MaskDecision[]): Promise<Outcome>;
}

/**
 * Observation, 11 numbers in [0, 1]: t, n, c, kernel height and width, stride and FLOPs of the layer; accuracy so far; share of all weights
 * that are masked; smallest and largest sparsity that may be chosen.
 */
export class WeightMaskEnvironment implements Environment {
  readonly observationSize = 11;
  readonly steps: number;
  private readonly features: number[][];
  private chosen: MaskLevel[] = [];
  private accuracy: number;

  constructor(private readonly problem: MaskProblem) {
    this.steps = problem.layers.length;
    this.features = scaledFeatures(problem.layers.map((l) => l.features));
    this.accuracy = problem.accuracy;
  }

  reset(): Promise<Step> {
    this.chosen = [];
    this.accuracy = this.problem.accuracy;
    return Promise.resolve(this.current()!);
  }

  async step(action: number): Promise<StepResult> {
    const level = nearestLevel(this.allowed(), action);
    this.chosen.push(level);
    const outcome = await this.problem.evaluate(this.decisions());
    this.accuracy = outcome.accuracy;
    const next = this.current();
    return { executed: level.action, outcome, next, done: next === undefined };
  }

  /** What was decided in this episode so far. */
  decisions(): MaskDecision[] {
    return this.chosen.map(({ sparsity }, i): MaskDecision => [this.problem.layers[i].name, sparsity]);
  }

  /**
   * Levels of the layer at hand with which the budget can still be met when every later layer is masked as far as it may be (AMC, He et
   * al. 2018, algorithm 1). Never empty: the sparsest is left where nothing reaches it.
   */
  private allowed(): readonly MaskLevel[] {
    const { layers, budget } = this.problem;
    const { levels } = layers[this.chosen.length];
    if (!budget) return levels;
    const before = this.chosen.map((l) => l.sparsity);
    const later = layers.slice(before.length + 1).map((l) => l.levels[l.levels.length - 1].sparsity);
    const reachable = levels.filter((l) => budget.relativeCost([...before, l.sparsity, ...later]) <= 1);
    return reachable.length > 0 ? reachable : levels.slice(-1);
  }

  private current(): Step | undefined {
    const t = this.chosen.length;
    if (t >= this.steps) return undefined;
    const allowed = this.allowed();
    const [least, most] = [allowed[0], allowed[allowed.length - 1]];
    const bounds: ActionBounds = { low: least.action, high: most.action };
    const observation: Observation = [...this.features[t], this.accuracy, this.masked(), least.sparsity, most.sparsity];
    return { observation, bounds };
  }

  private masked(): number {
    const { layers } = this.problem;
    const total = layers.reduce((sum, l) => sum + l.weights, 0);
    return this.chosen.reduce((sum, { sparsity }, i) => sum + sparsity * layers[i].weights, 0) / total;
  }
}

/** The level whose action is nearest; the lower one on a tie. */
function nearestLevel(levels: readonly MaskLevel[], action: number): MaskLevel {
  return levels.reduce((a, l) => (Math.abs(l.action - action) < Math.abs(a.action - action) - 1e-12 ? l : a));
}
