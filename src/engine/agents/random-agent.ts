import { Random } from '../random';
import type { Action, Agent, AgentState, RewardFunction, Step, Transition, UpdateDiagnostics } from './agent';
import { clip } from './exploration';

/**
 * Random search: every action uniform within its bounds. Without noise (deterministic) it repeats the episode with the highest sum of rewards,
 * step by step, each action cut to the bounds.
 */
export class RandomAgent implements Agent {
  private random: Random;
  private running: Map<number, Attempt> = new Map();
  private best: Attempt | undefined;
  /** Step of the deterministic episode that `act` is at. */
  private replayed = 0;

  constructor(random: Random) {
    this.random = random.fork('samples');
  }

  act({ bounds }: Step, { deterministic = false } = {}): Action {
    const { low, high } = bounds;
    if (deterministic && this.best) {
      const value = clip(this.best.actions[this.replayed % this.best.actions.length], low, high);
      this.replayed++;
      return { value, logProbability: 0 };
    }
    return { value: this.random.between(low, high), logProbability: 0 };
  }

  observe({ actor, action, outcome, done }: Transition, reward: RewardFunction): UpdateDiagnostics | undefined {
    const attempt = this.running.get(actor) ?? { actions: [], total: 0 };
    const extended = { actions: [...attempt.actions, action], total: attempt.total + reward(outcome) };
    this.running.set(actor, extended);
    if (done) {
      this.running.delete(actor);
      if (!this.best || extended.total > this.best.total) this.best = extended;
    }
    return undefined;
  }

  endRound(): UpdateDiagnostics | undefined {
    this.replayed = 0;
    return undefined;
  }

  state(): AgentState {
    return { algorithm: 'random', random: this.random.state(), running: [...this.running], best: this.best };
  }

  restore(state: AgentState): void {
    const saved = state as unknown as { random: number[]; running: [number, Attempt][]; best?: Attempt };
    this.random = new Random(saved.random);
    this.running = new Map(saved.running);
    this.best = saved.best;
    this.replayed = 0;
  }

  dispose(): void {
    // Nothing is held.
  }
}

interface Attempt {
  readonly actions: readonly number[];
  readonly total: number;
}
