/**
 * The best policy that an agent has acted out for each of its tasks (most have one), as fractions of the ranges that its actions had, and
 * which episodes explore around it. In a short search a network that learns from a few hundred transitions lags behind what is already
 * known to be good.
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
  readonly task: string;
  readonly around: boolean;
  /** Actions asked for so far. More than were seen where all are seen at the end of the episode. */
  acted: number;
  readonly fractions: number[];
}

export class BestPolicy {
  private readonly running = new Map<number, Episode>();
  private readonly best: Map<string, KnownPolicy>;

  /** @param known policies that are known beforehand, by task */
  constructor(known: Iterable<readonly [task: string, policy: KnownPolicy]> = []) {
    this.best = new Map(known);
  }

  /**
   * The best policy's action at the step an actor is at, where its episode explores around it.
   * @param task of the episode, read at its first step
   * @param decide whether it does, asked at the first step of an episode
   */
  action(actor: number, task: string, decide: () => boolean): number | undefined {
    let episode = this.running.get(actor);
    if (!episode) {
      episode = { task, around: decide() && this.best.has(task), acted: 0, fractions: [] };
      this.running.set(actor, episode);
    }
    const step = episode.acted++;
    return episode.around ? this.best.get(episode.task)?.fractions[step] : undefined;
  }

  /** What was executed; at the end of an episode, whether it is the best now. */
  see({ actor, action, bounds, outcome, ended, done }: Transition, reward: RewardFunction): void {
    const episode = this.running.get(actor);
    if (!episode) return;
    episode.fractions.push(toFraction(action, bounds));
    if (!(ended ?? done)) return;
    this.running.delete(actor);
    const best = this.best.get(episode.task);
    if (!best || finiteReward(reward, outcome) > finiteReward(reward, best.outcome))
      this.best.set(episode.task, { fractions: episode.fractions, outcome });
  }

  state(): AgentState {
    return {
      best: [...this.best],
      running: [...this.running].map(([actor, { fractions, ...episode }]) => [actor, { ...episode, fractions: [...fractions] }]),
    };
  }

  restore(state: AgentState): void {
    const { best, running } = state as { best: ReadonlyArray<[string, KnownPolicy]>; running: ReadonlyArray<[number, Episode]> };
    this.best.clear();
    for (const [task, policy] of best) this.best.set(task, policy);
    this.running.clear();
    for (const [actor, episode] of running) this.running.set(actor, { ...episode, fractions: [...episode.fractions] });
  }
}
