/**
 * Frame of agents that decide a whole policy at once and then act it out step by step, for several actors at a time.
 * An episode's score is the mean of its rewards: the last one where an episode is credited as a whole.
 */
import type { Action, Agent, AgentState, RewardFunction, Step, Transition, UpdateDiagnostics } from './agent';
import { checkAlgorithm, finiteReward } from './checks';
import { clip } from './exploration';
import { average } from './statistics';

/** A policy that was acted out. */
export interface Attempt<Tag> {
  /** Actions as executed, one for each step. */
  readonly actions: readonly number[];
  /** Mean reward and accuracy of the steps. */
  readonly reward: number;
  readonly accuracy: number;
  /** What the agent noted with its proposal. */
  readonly tag: Tag;
}

export interface Proposal<Tag> {
  readonly actions: readonly number[];
  readonly tag: Tag;
}

interface Running<Tag> {
  readonly proposal: Proposal<Tag>;
  /** Steps acted, and steps observed so far. */
  acted: number;
  readonly executed: number[];
  readonly rewards: number[];
  readonly accuracies: number[];
}

/** @typeParam Tag plain data */
export abstract class ProposalAgent<Tag> implements Agent {
  private running = new Map<number, Running<Tag>>();
  private best: { actions: readonly number[]; reward: number } | undefined;
  /** Step of the deterministic episode that `act` is at. */
  private replayed = 0;

  constructor(
    private readonly algorithm: string,
    protected readonly steps: number,
  ) {}

  /** The next policy to try: an action for each step, cut to the bounds when it is acted out. */
  protected abstract propose(): Proposal<Tag>;
  protected abstract learn(attempt: Attempt<Tag>): void;
  protected abstract memory(): AgentState;
  protected abstract recall(memory: AgentState): void;

  act({ bounds }: Step, { deterministic = false, actor = 0 }: { deterministic?: boolean; actor?: number } = {}): Action {
    const { low, high } = bounds;
    if (deterministic) {
      const at = this.replayed++ % this.steps;
      return { value: clip(this.best?.actions[at] ?? (low + high) / 2, low, high), logProbability: 0 };
    }
    let running = this.running.get(actor);
    if (!running || running.acted === this.steps) {
      running = { proposal: this.propose(), acted: 0, executed: [], rewards: [], accuracies: [] };
      this.running.set(actor, running);
    }
    return { value: clip(running.proposal.actions[running.acted++], low, high), logProbability: 0 };
  }

  observe({ actor, action, outcome }: Transition, reward: RewardFunction): UpdateDiagnostics | undefined {
    const running = this.running.get(actor);
    if (!running) throw new Error(`a transition of actor ${actor}, which has not acted`);
    running.executed.push(action);
    running.rewards.push(finiteReward(reward, outcome));
    running.accuracies.push(outcome.accuracy);
    if (running.executed.length < this.steps) return undefined;
    this.running.delete(actor);
    const attempt = {
      actions: running.executed,
      reward: average(running.rewards),
      accuracy: average(running.accuracies),
      tag: running.proposal.tag,
    };
    if (!this.best || attempt.reward > this.best.reward) this.best = { actions: attempt.actions, reward: attempt.reward };
    this.learn(attempt);
    return undefined;
  }

  endRound(): UpdateDiagnostics | undefined {
    this.replayed = 0;
    return undefined;
  }

  state(): AgentState {
    return { algorithm: this.algorithm, running: [...this.running], best: this.best, memory: this.memory() };
  }

  restore(state: AgentState): void {
    checkAlgorithm(state, this.algorithm);
    const saved = state as unknown as {
      running: [number, Running<Tag>][];
      best?: { actions: readonly number[]; reward: number };
      memory: AgentState;
    };
    this.running = new Map(saved.running);
    this.best = saved.best;
    this.replayed = 0;
    this.recall(saved.memory);
  }

  dispose(): void {
    // Nothing is held.
  }
}
