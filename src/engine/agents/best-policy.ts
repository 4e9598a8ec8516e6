/**
 * The best policy that an agent has acted out for each of its tasks (most have one), as fractions of the ranges that its actions had, and
 * which episodes explore around it. In a short search a network that learns from a few hundred transitions lags behind what is already
 * known to be good. What is good for one task can be proposed for another, which then tries it once. It also knows which policies were acted
 * out before: an episode that repeats one teaches nothing, and where few widths are to choose from, small changes round to no change at all.
 */
import type { AgentState, Observation, Outcome, RewardFunction, Transition } from './agent';
import { finiteReward } from './checks';
import { toFraction } from './exploration';

export interface KnownPolicy {
  /** An action for each step of an episode, as fractions of their ranges, and as it is. */
  readonly fractions: readonly number[];
  readonly actions: readonly number[];
  /** What was seen at each step. */
  readonly observations: readonly Observation[];
  /** Of the complete policy: its reward is computed when two are compared, as rewards may change during a run. */
  readonly outcome: Outcome;
}

/** A whole policy of a task: an action for each step. */
export interface FoundPolicy {
  readonly task: string;
  readonly actions: readonly number[];
}

/** Where an episode takes its next action from: a fraction of the step's range to explore around, or an action to execute as it is. */
export type Guide = { readonly around: number } | { readonly exactly: number };

interface Episode {
  readonly task: string;
  readonly around: boolean;
  /** The whole policy that this episode tries, and whether it came from another task; absent: none. */
  readonly proposed?: readonly number[];
  readonly carried: boolean;
  /** Actions asked for so far. More than were seen where all are seen at the end of the episode. */
  acted: number;
  /** What was executed, as fractions of the ranges and as it is. */
  readonly fractions: number[];
  readonly actions: number[];
  readonly observations: Observation[];
}

export class BestPolicy {
  private readonly running = new Map<number, Episode>();
  /** Policies that no episode has tried yet, by task. */
  private readonly proposals = new Map<string, readonly number[]>();
  private readonly best: Map<string, KnownPolicy>;
  /** Every policy that was acted out, with its task. */
  private readonly tried = new Set<string>();
  private repeated = 0;

  /** @param known policies that are known beforehand, by task */
  constructor(known: Iterable<readonly [task: string, policy: KnownPolicy]> = []) {
    this.best = new Map(known);
  }

  /** Episodes since the last one that acted out a policy for the first time. */
  get repeats(): number {
    return this.repeated;
  }

  /** The next episode of that task tries this policy, in place of an earlier one that none has tried. @param actions one for each step */
  propose(task: string, actions: readonly number[]): void {
    this.proposals.set(task, actions);
  }

  /**
   * What guides the step an actor is at: the proposed policy that its episode tries, or the best one where it explores around that.
   * @param task of the episode, read at its first step
   * @param decide whether it explores around the best policy, asked at the first step of an episode that tries none
   * @param near a whole policy near the best one, to be tried as it is; absent, or undefined: each step explores by itself
   */
  guide(
    actor: number,
    task: string,
    decide: () => boolean,
    near?: (best: KnownPolicy, tried: (actions: readonly number[]) => boolean) => readonly number[] | undefined,
  ): Guide | undefined {
    let episode = this.running.get(actor);
    if (!episode) {
      const carried = this.proposals.get(task);
      this.proposals.delete(task);
      const around = carried === undefined && decide() ? this.best.get(task) : undefined;
      const proposed = carried ?? (around && near?.(around, (actions) => this.tried.has(nameOf(task, actions))));
      const way = { around: around !== undefined && !proposed, ...(proposed && { proposed }), carried: carried !== undefined };
      episode = { task, ...way, acted: 0, fractions: [], actions: [], observations: [] };
      this.running.set(actor, episode);
    }
    const step = episode.acted++;
    if (episode.proposed) return { exactly: episode.proposed[step] };
    const around = episode.around ? this.best.get(episode.task)?.fractions[step] : undefined;
    return around === undefined ? undefined : { around };
  }

  /**
   * What was executed; at the end of an episode, whether it is the best now.
   * @returns the policy that has become its task's best, where the agent came upon it by itself
   */
  see({ actor, observation, action, bounds, outcome, ended, done }: Transition, reward: RewardFunction): FoundPolicy | undefined {
    const episode = this.running.get(actor);
    if (!episode) return undefined;
    episode.fractions.push(toFraction(action, bounds));
    episode.actions.push(action);
    episode.observations.push(observation);
    if (!(ended ?? done)) return undefined;
    this.running.delete(actor);
    const { task, fractions, actions, observations, carried } = episode;
    const name = nameOf(task, actions);
    this.repeated = this.tried.has(name) ? this.repeated + 1 : 0;
    this.tried.add(name);
    const best = this.best.get(task);
    if (best && finiteReward(reward, outcome) <= finiteReward(reward, best.outcome)) return undefined;
    this.best.set(task, { fractions, actions, observations, outcome });
    return carried ? undefined : { task, actions };
  }

  state(): AgentState {
    return {
      best: [...this.best],
      tried: [...this.tried],
      repeated: this.repeated,
      proposals: [...this.proposals],
      running: [...this.running].map(([actor, episode]) => [actor, copyOf(episode)]),
    };
  }

  restore(state: AgentState): void {
    const { best, tried, repeated, proposals, running } = state as {
      best: ReadonlyArray<[string, KnownPolicy]>;
      tried?: readonly string[];
      repeated?: number;
      proposals: ReadonlyArray<[string, readonly number[]]>;
      running: ReadonlyArray<[number, Episode]>;
    };
    this.best.clear();
    // States of older versions do not say all of it.
    for (const [task, policy] of best)
      this.best.set(task, { ...policy, actions: policy.actions ?? [], observations: policy.observations ?? [] });
    this.tried.clear();
    for (const name of tried ?? []) this.tried.add(name);
    this.repeated = repeated ?? 0;
    this.proposals.clear();
    for (const [task, actions] of proposals) this.proposals.set(task, actions);
    this.running.clear();
    for (const [actor, episode] of running) this.running.set(actor, copyOf(episode));
  }
}

/** States of older versions have no observations. */
const copyOf = ({ fractions, actions, observations = [], ...episode }: Episode): Episode => ({
  ...episode,
  fractions: [...fractions],
  actions: [...actions],
  observations: [...observations],
});

/** Tells policies of a task apart. */
const nameOf = (task: string, actions: readonly number[]): string => [task, ...actions.map((a) => a.toFixed(4))].join(' ');
