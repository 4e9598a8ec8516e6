/**
 * Sensitivity-greedy: every step is scored alone at a few levels, then the policy that follows from it is acted out (`probed-losses.ts`).
 * Needs an environment whose actions are not bounded by the budget.
 */
import { UserError } from '../errors';
import type { AgentState } from './agent';
import { type Probe, ProbedLosses, probedPolicy, probesOf } from './probed-losses';
import { type Attempt, type Proposal, ProposalAgent } from './proposals';
import type { StageProblem } from './stage-problem';

export class GreedyAgent extends ProposalAgent<Probe | null> {
  private readonly probes: readonly Probe[];
  private readonly relativeCost: (actions: readonly number[]) => number;
  private asked = 0;
  private losses = new ProbedLosses();

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
    // Parallel actors may ask for a policy before the last probes were seen: the last probe once more, which is known by then or soon.
    const probe =
      this.asked < this.probes.length
        ? this.probes[this.asked++]
        : this.losses.size < this.probes.length
          ? this.probes[this.probes.length - 1]
          : undefined;
    return probe ? { actions: probedPolicy(this.problem, probe), tag: probe } : { actions: this.greedyPolicy(), tag: null };
  }

  protected learn({ accuracy, tag }: Attempt<Probe | null>): void {
    if (tag) this.losses.see(tag, accuracy);
  }

  /** The policy that follows from what was measured. */
  greedyPolicy(): number[] {
    return this.losses.leastLossPolicy(this.problem.levels, this.relativeCost);
  }

  protected memory(): AgentState {
    return { asked: this.asked, measured: this.losses.entries() };
  }

  protected recall(memory: AgentState): void {
    const saved = memory as unknown as { asked: number; measured: [string, number][] };
    this.asked = saved.asked;
    this.losses = new ProbedLosses(saved.measured);
  }
}

/** Episodes that a greedy search of so many probes needs: probes, the policy, and what parallel actors waste in the last round. */
export const greedyEpisodes = (steps: number, perStep: number, actors: number): number =>
  (Math.ceil((1 + steps * perStep) / actors) + 1) * actors;
