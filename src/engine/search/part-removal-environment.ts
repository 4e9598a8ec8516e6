/** N2N's first environment: one step decides whether one part of the network stays (0) or is taken out (1). */
import type { Environment, Observation, Outcome, Step, StepResult } from '../agents/agent';
import { type Features, scaledFeatures } from './layer-features';

export interface PartProblem {
  readonly parts: ReadonlyArray<{ readonly name: string; readonly features: Features; readonly layers: number; readonly block: boolean }>;
  /** Measures the network without these parts. */
  evaluate(removed: readonly string[], decided: number): Promise<Outcome>;
}

/** 9 numbers in [0, 1]: t, n, c, kernel height and width, stride and FLOPs of the part; how many layers it has, and whether it is a block. */
export function partObservations(parts: PartProblem['parts']): Observation[] {
  const most = Math.max(1, ...parts.map((p) => p.layers));
  return scaledFeatures(parts.map((p) => p.features)).map((f, i) => [...f, parts[i].layers / most, parts[i].block ? 1 : 0]);
}

export class PartRemovalEnvironment implements Environment {
  readonly observationSize = 9;
  readonly steps: number;
  private readonly observations: readonly Observation[];
  private removed: string[] = [];
  private decided = 0;

  constructor(private readonly problem: PartProblem) {
    this.steps = problem.parts.length;
    this.observations = partObservations(problem.parts);
  }

  reset(): Promise<Step> {
    this.removed = [];
    this.decided = 0;
    return Promise.resolve(this.current()!);
  }

  async step(action: number): Promise<StepResult> {
    const executed = action >= 0.5 ? 1 : 0;
    if (executed === 1) this.removed.push(this.problem.parts[this.decided].name);
    this.decided++;
    const outcome = await this.problem.evaluate([...this.removed], this.decided);
    const next = this.current();
    return { executed, outcome, next, done: next === undefined };
  }

  private current(): Step | undefined {
    return this.decided < this.steps ? { observation: this.observations[this.decided], bounds: { low: 0, high: 1 } } : undefined;
  }
}
