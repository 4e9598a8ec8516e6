/**
 * Sensitivity-greedy: every step is tried alone at a few levels while the others stay whole (one scoring each); between those levels the loss is
 * taken to be linear. Then, from the whole model on, the reduction with the least predicted loss for the cost it saves is taken until the budget
 * is met, and that policy is acted out. Needs an environment whose actions are not bounded by the budget.
 */
import { UserError } from '../errors';
import type { AgentState } from './agent';
import { type Attempt, type Proposal, ProposalAgent } from './proposals';
import type { StageProblem } from './stage-problem';

interface Probe {
  /** Step that is tried, and index of its level; −1 for the whole model. */
  readonly step: number;
  readonly level: number;
}

export class GreedyAgent extends ProposalAgent<Probe | null> {
  private readonly probes: readonly Probe[];
  private readonly relativeCost: (actions: readonly number[]) => number;
  private asked = 0;
  /** Accuracy by 'step:level'. */
  private measured = new Map<string, number>();

  /**
   * @param perStep levels tried for each step; the deepest is always among them
   * @throws UserError where there is no budget to meet
   */
  constructor(
    private readonly problem: StageProblem,
    perStep: number,
  ) {
    super('greedy', problem.levels.length);
    if (!problem.relativeCost)
      throw new UserError(
        'the greedy search has no budget to meet',
        'Set one: "goal": { "flops": 0.5 }, or params; bytes bound the bits of stage 2, and this stage where that is off ("stages": { "quantize": false }).',
      );
    this.relativeCost = problem.relativeCost;
    this.probes = probesOf(problem, perStep);
  }

  protected propose(): Proposal<Probe | null> {
    const { levels } = this.problem;
    const whole = levels.map((l) => l[0]);
    if (this.asked < this.probes.length) {
      const probe = this.probes[this.asked++];
      return { actions: whole.map((a, i) => (i === probe.step ? levels[i][probe.level] : a)), tag: probe };
    }
    // Parallel actors may ask for a policy before the last probes were seen: the last probe once more, which is known by then or soon.
    if (this.measured.size < this.probes.length) {
      const probe = this.probes[this.probes.length - 1];
      return { actions: whole.map((a, i) => (i === probe.step ? levels[i][probe.level] : a)), tag: probe };
    }
    return { actions: this.greedyPolicy(), tag: null };
  }

  protected learn({ accuracy, tag }: Attempt<Probe | null>): void {
    if (tag) this.measured.set(nameOf(tag), accuracy);
  }

  /** The policy that follows from what was measured. */
  greedyPolicy(): number[] {
    const { levels } = this.problem;
    const { relativeCost } = this;
    const losses = levels.map((l, step) => this.predictedLosses(step, l.length));
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
  private predictedLosses(step: number, count: number): number[] {
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

  protected memory(): AgentState {
    return { asked: this.asked, measured: [...this.measured] };
  }

  protected recall(memory: AgentState): void {
    const saved = memory as unknown as { asked: number; measured: [string, number][] };
    this.asked = saved.asked;
    this.measured = new Map(saved.measured);
  }
}

const nameOf = ({ step, level }: Probe): string => `${step}:${level}`;

/** The whole model, then each step at up to `perStep` levels, evenly spread, the deepest last. */
function probesOf({ levels }: StageProblem, perStep: number): Probe[] {
  const probes: Probe[] = [{ step: -1, level: 0 }];
  for (const [step, own] of levels.entries()) {
    const deepest = own.length - 1;
    const tried = new Set(Array.from({ length: perStep }, (_, i) => Math.round((deepest * (i + 1)) / perStep)));
    for (const level of tried) if (level > 0) probes.push({ step, level });
  }
  return probes;
}

/** Episodes that a greedy search of so many probes needs: probes, the policy, and what parallel actors waste in the last round. */
export const greedyEpisodes = (steps: number, perStep: number, actors: number): number =>
  (Math.ceil((1 + steps * perStep) / actors) + 1) * actors;
