/**
 * The best policy that an agent has acted out, as fractions of the ranges that its actions had, and which episodes explore around it.
 * In a short search a network that learns from a few hundred transitions lags behind what is already known to be good.
 */
import type { AgentState, Outcome, RewardFunction, Transition } from './agent';
import { finiteReward } from './checks';
import { toFraction } from './exploration';

export interface KnownPolicy {
  /** An action for each step of an episode, as fractions of their ranges. */
  readonly fractions: readonly number[];
  /** Of the complete policy: its reward is computed when two are compared, as rewards may change during a run. */
  readonly outcome: Outcome;
}

interface Episode {
  readonly around: boolean;
  readonly fractions: number[];
}

export class BestPolicy {
  private readonly running = new Map<number, Episode>();

  /** @param best one that is known beforehand */
  constructor(private best: KnownPolicy | undefined) {}

  /**
   * The best policy's action at the step an actor is at, where its episode explores around it.
   * @param decide whether it does, asked at the first step of an episode
   */
  action(actor: number, decide: () => boolean): number | undefined {
    let episode = this.running.get(actor);
    if (!episode) {
      episode = { around: decide() && this.best !== undefined, fractions: [] };
      this.running.set(actor, episode);
    }
    return episode.around ? this.best?.fractions[episode.fractions.length] : undefined;
  }

  /** What was executed; at the end of an episode, whether it is the best now. */
  see({ actor, action, bounds, outcome, ended, done }: Transition, reward: RewardFunction): void {
    const episode = this.running.get(actor);
    if (!episode) return;
    episode.fractions.push(toFraction(action, bounds));
    if (!(ended ?? done)) return;
    this.running.delete(actor);
    if (!this.best || finiteReward(reward, outcome) > finiteReward(reward, this.best.outcome))
      this.best = { fractions: episode.fractions, outcome };
  }

  state(): AgentState {
    return {
      best: this.best,
      running: [...this.running].map(([actor, { around, fractions }]) => ({ actor, around, fractions: [...fractions] })),
    };
  }

  restore(state: AgentState): void {
    const { best, running = [] } = state as { best?: KnownPolicy; running?: ReadonlyArray<Episode & { actor: number }> };
    this.best = best;
    this.running.clear();
    for (const { actor, around, fractions } of running) this.running.set(actor, { around, fractions: [...fractions] });
  }
}
