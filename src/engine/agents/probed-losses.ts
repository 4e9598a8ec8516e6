/**
 * Sensitivity as a plan: every step is tried alone at a few levels while the others stay whole; between those levels the loss is taken to be linear.
 * Then, from the whole model on, the reduction with the least predicted loss for the cost it saves is taken until the budget is met (Li et al.
 * 2017, "Pruning Filters for Efficient ConvNets", chooses layers by such curves).
 */
import type { StageProblem } from './stage-problem';

export interface Probe {
  /** Step that is tried, and index of its level; −1 for the whole model. */
  readonly step: number;
  readonly level: number;
}

/** The whole model, then each step at up to `perStep` levels, evenly spread, the deepest last. */
export function probesOf({ levels }: Pick<StageProblem, 'levels'>, perStep: number): Probe[] {
  const probes: Probe[] = [{ step: -1, level: 0 }];
  for (const [step, own] of levels.entries()) {
    const deepest = own.length - 1;
    const tried = new Set(Array.from({ length: perStep }, (_, i) => Math.round((deepest * (i + 1)) / perStep)));
    for (const level of tried) if (level > 0) probes.push({ step, level });
  }
  return probes;
}

/** An action for each step. */
export const probedPolicy = ({ levels }: Pick<StageProblem, 'levels'>, { step, level }: Probe): number[] =>
  levels.map((own, i) => own[i === step ? level : 0]);

/** What probes measured. */
export class ProbedLosses {
  /** Accuracy by 'step:level'. */
  private readonly measured: Map<string, number>;

  constructor(measured: Iterable<readonly [string, number]> = []) {
    this.measured = new Map(measured);
  }

  get size(): number {
    return this.measured.size;
  }

  see(probe: Probe, accuracy: number): void {
    this.measured.set(nameOf(probe), accuracy);
  }

  entries(): Array<[string, number]> {
    return [...this.measured];
  }

  /** The policy that follows from what was measured: an action for each step. @param relativeCost at most 1 within the budget */
  leastLossPolicy(levels: StageProblem['levels'], relativeCost: (actions: readonly number[]) => number): number[] {
    const losses = levels.map((l, step) => this.predicted(step, l.length));
    const chosen = levels.map(() => 0);
    const actions = (): number[] => chosen.map((level, step) => levels[step][level]);
    let cost = relativeCost(actions());
    while (cost > 1) {
      let best: { step: number; level: number; price: number } | undefined;
      for (const [step, own] of levels.entries()) {
        for (let level = chosen[step] + 1; level < own.length; level++) {
          const saved = cost - relativeCost(chosen.map((l, i) => levels[i][i === step ? level : l]));
          if (saved <= 0) continue;
          const price = (losses[step][level] - losses[step][chosen[step]]) / saved;
          if (!best || price < best.price) best = { step, level, price };
        }
      }
      if (!best) break;
      chosen[best.step] = best.level;
      cost = relativeCost(actions());
    }
    return actions();
  }

  /** Loss of accuracy at each level: linear between those tried; never falling with depth, which would be noise. */
  private predicted(step: number, count: number): number[] {
    const whole = this.measured.get(nameOf({ step: -1, level: 0 })) ?? 0;
    const known = [{ level: 0, loss: 0 }];
    for (let level = 1; level < count; level++) {
      const accuracy = this.measured.get(nameOf({ step, level }));
      if (accuracy !== undefined) known.push({ level, loss: Math.max(known[known.length - 1].loss, whole - accuracy) });
    }
    return Array.from({ length: count }, (_, level) => {
      const after = known.findIndex((k) => k.level >= level);
      if (after <= 0) return after === 0 ? 0 : known[known.length - 1].loss;
      const [a, b] = [known[after - 1], known[after]];
      return a.loss + ((b.loss - a.loss) * (level - a.level)) / (b.level - a.level);
    });
  }
}

const nameOf = ({ step, level }: Probe): string => `${step}:${level}`;
