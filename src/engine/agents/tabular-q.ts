/**
 * Tabular Q-learning (Watkins, Dayan 1992): Q(s, a) ← Q(s, a) + α·(r + γ·max Q(s′, ·) − Q(s, a)), ε-greedy. The table holds the states
 * that were visited; a state is what is observed, an action one of a few levels evenly spread over [0, 1].
 */
import { Random } from '../random';
import type { Action, Agent, AgentState, RewardFunction, Step, Transition, UpdateDiagnostics } from './agent';
import { checkAlgorithm, finiteReward } from './checks';
import { NO_FIGURES } from './no-figures';
import { average } from './statistics';

export interface TabularQOptions {
  /** Number of actions; action i is the number i/(actions − 1). */
  readonly actions: number;
  /** Learning rate α. */
  readonly alpha: number;
  /** Discount γ; 1 in Salvi's proposal. */
  readonly gamma: number;
  /** Probability ε of a random action at the start, at the end, and over how many episodes it falls from one to the other. */
  readonly epsilon: number;
  readonly epsilonFloor: number;
  readonly epsilonEpisodes: number;
  /** Q of what was never tried; 0 in the paper. */
  readonly initial: number;
  /**
   * Updates of an episode run from its last step to its first, so that what was found at the end is known at the start after one episode
   * (Lin 1992). Off: in the order of the steps, as they come.
   */
  readonly backward: boolean;
}

export const TABULAR_Q_DEFAULTS: TabularQOptions = {
  actions: 11,
  alpha: 0.5,
  gamma: 1,
  epsilon: 1,
  epsilonFloor: 0.05,
  epsilonEpisodes: 100,
  initial: 0,
  backward: true,
};

export class TabularQAgent implements Agent {
  readonly options: TabularQOptions;
  private random: Random;
  private table = new Map<string, Map<number, number>>();
  private episodes = 0;
  /** Transitions of the running episodes, by actor. */
  private running = new Map<number, Transition[]>();

  constructor(random: Random, options: Partial<TabularQOptions> = {}) {
    this.options = { ...TABULAR_Q_DEFAULTS, ...options };
    this.random = random.fork('actions');
  }

  /** Probability of a random action now. */
  get epsilon(): number {
    const { epsilon, epsilonFloor, epsilonEpisodes } = this.options;
    return epsilon + (epsilonFloor - epsilon) * Math.min(1, this.episodes / Math.max(1, epsilonEpisodes));
  }

  /** States in the table. */
  get states(): number {
    return this.table.size;
  }

  act({ observation, bounds }: Step, { deterministic = false }: { deterministic?: boolean } = {}): Action {
    const allowed = this.allowed(bounds);
    // Bounds narrower than the levels lie apart leave none of them.
    if (allowed.length === 0) return { value: (bounds.low + bounds.high) / 2, logProbability: 0 };
    const explore = !deterministic && this.random.uniform() < this.epsilon;
    const chosen = explore ? allowed[this.random.below(allowed.length)] : this.best(keyOf(observation), allowed);
    return { value: this.valueOf(chosen), logProbability: 0 };
  }

  observe(transition: Transition, reward: RewardFunction): UpdateDiagnostics | undefined {
    const { actor, done, ended = done } = transition;
    if (!this.options.backward) {
      if (ended) this.episodes++;
      return this.diagnosticsOf([this.update(transition, reward)]);
    }
    const transitions = this.running.get(actor) ?? [];
    transitions.push(transition);
    this.running.set(actor, transitions);
    if (!ended) return undefined;
    this.running.delete(actor);
    this.episodes++;
    return this.diagnosticsOf(transitions.reverse().map((t) => this.update(t, reward)));
  }

  endRound(): UpdateDiagnostics | undefined {
    return undefined;
  }

  /** Q of a state's action. */
  q(observation: readonly number[], action: number): number {
    return this.table.get(keyOf(observation))?.get(action) ?? this.options.initial;
  }

  /** One step of the rule. Returns the error before it. */
  private update({ observation, action, outcome, next, done }: Transition, reward: RewardFunction): number {
    const { alpha, gamma, initial } = this.options;
    const state = keyOf(observation);
    let row = this.table.get(state);
    if (!row) {
      row = new Map();
      this.table.set(state, row);
    }
    const index = this.indexOf(action);
    const before = row.get(index) ?? initial;
    let target = finiteReward(reward, outcome);
    if (!done && next) {
      const allowed = this.allowed(next.bounds);
      const values = allowed.map((a) => this.q(next.observation, a));
      target += gamma * (values.length > 0 ? Math.max(...values) : initial);
    }
    row.set(index, before + alpha * (target - before));
    return target - before;
  }

  private diagnosticsOf(errors: readonly number[]): UpdateDiagnostics {
    return { ...NO_FIGURES, criticLoss: average(errors.map((e) => e ** 2)) };
  }

  /** The action of the highest Q; among equals the first. */
  private best(state: string, allowed: readonly number[]): number {
    const row = this.table.get(state);
    const q = (a: number): number => row?.get(a) ?? this.options.initial;
    return allowed.reduce((best, a) => (q(a) > q(best) ? a : best));
  }

  private allowed({ low, high }: Step['bounds']): number[] {
    const all = Array.from({ length: this.options.actions }, (_, i) => i);
    return all.filter((a) => this.valueOf(a) >= low - 1e-9 && this.valueOf(a) <= high + 1e-9);
  }

  private valueOf(index: number): number {
    return this.options.actions > 1 ? index / (this.options.actions - 1) : 0;
  }

  private indexOf(action: number): number {
    return Math.round(action * (this.options.actions - 1));
  }

  state(): AgentState {
    return {
      algorithm: 'tabular-q',
      random: this.random.state(),
      table: [...this.table].map(([state, row]) => [state, [...row]]),
      episodes: this.episodes,
      running: [...this.running],
    };
  }

  restore(state: AgentState): void {
    checkAlgorithm(state, 'tabular-q');
    const saved = state as unknown as {
      random: number[];
      table: [string, [number, number][]][];
      episodes: number;
      running: [number, Transition[]][];
    };
    this.random = new Random(saved.random);
    this.table = new Map(saved.table.map(([key, row]) => [key, new Map(row)]));
    this.episodes = saved.episodes;
    this.running = new Map(saved.running);
  }

  dispose(): void {
    this.table.clear();
  }
}

const keyOf = (observation: readonly number[]): string => observation.join();
