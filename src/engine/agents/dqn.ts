/**
 * Double DQN (van Hasselt, Guez, Silver 2016, "Deep Reinforcement Learning with Double Q-learning") over a fixed list of actions, as PuRL
 * uses it (Gupta et al. 2020): a network gives Q(s, a) of every action at once, ε-greedy exploration, replay, a slow target network, and
 * targets y = r + γ·Q'(s', argmax_a Q(s', a)). Only actions within a step's bounds are chosen, and only they enter the argmax.
 */
import { Random } from '../random';
import { ActionList } from './action-list';
import type { Action, Agent, AgentState, Observation, RewardFunction, Step, Transition, UpdateDiagnostics } from './agent';
import { BestPolicy } from './best-policy';
import { checkAlgorithm, checkObservation, checkSizes, finiteReward } from './checks';
import { clip, fromFraction, truncatedNormal } from './exploration';
import { type InitialPolicy, scoredPolicies } from './initial-policy';
import { backward, forward, outputOf, packed } from './mlp-math';
import { Adam, type AdamState, Mlp } from './networks';
import { NO_FIGURES } from './no-figures';
import { Replay, stepAfter } from './replay';
import { average, explainedVariance } from './statistics';

export interface DqnOptions {
  /** Discount γ. */
  readonly gamma: number;
  readonly learningRate: number;
  /** Units in each of the two hidden layers. */
  readonly hidden: number;
  /** ε falls linearly from `epsilonStart` to `epsilonEnd` over `explorationEpisodes` episodes. */
  readonly epsilonStart: number;
  readonly epsilonEnd: number;
  readonly explorationEpisodes: number;
  readonly minibatch: number;
  readonly replayCapacity: number;
  /** Transitions before the first update. */
  readonly learningStarts: number;
  /** Step τ of the slow target network. */
  readonly tau: number;
  /** Minibatches for each transition. */
  readonly updatesPerStep: number;
  /** The online network chooses the next action, the target network values it; off: the target network does both (plain DQN). */
  readonly doubleQ: boolean;
  /**
   * Improvement, off by default (0): share of the episodes that explore around the best policy so far instead of ε-greedily; known
   * beforehand are `initialPolicies`.
   */
  readonly aroundBest: number;
  /** Share of such an episode's actions that are drawn anew, from a normal around the best policy's; the others are its own. */
  readonly changedShare: number;
  readonly initialPolicies: readonly InitialPolicy[];
}

export const DQN_DEFAULTS: DqnOptions = {
  gamma: 0.9,
  learningRate: 1e-3,
  hidden: 64,
  epsilonStart: 1,
  epsilonEnd: 0.05,
  explorationEpisodes: 40,
  minibatch: 32,
  replayCapacity: 2000,
  learningStarts: 32,
  tau: 0.02,
  updatesPerStep: 2,
  doubleQ: true,
  aroundBest: 0,
  changedShare: 1,
  initialPolicies: [],
};

/** Standard deviation of changes to the best policy's actions, as a fraction of the range. */
const CHANGE = 0.15;
/** Of agents with one task. */
const TASK = '';

export class DqnAgent implements Agent {
  readonly options: DqnOptions;
  private readonly network: Mlp; // Q
  private readonly target: Mlp; // Q'
  private readonly optimiser: Adam;
  private readonly replay: Replay;
  private readonly actions: ActionList;
  private readonly best: BestPolicy;
  private random: Random;
  /** Episodes ended in earlier rounds, and transitions of this one. */
  private episodes = 0;
  private seenNow = 0;

  /**
   * @param actions the values an action may have, ascending
   * @param steps of an episode: an episode has ended when so many transitions of one actor were seen
   */
  constructor(
    private readonly observationSize: number,
    actions: readonly number[],
    private readonly steps: number,
    random: Random,
    options: Partial<DqnOptions> = {},
  ) {
    this.options = { ...DQN_DEFAULTS, ...options };
    const { hidden, learningRate, replayCapacity } = this.options;
    this.random = random.fork('samples');
    this.network = new Mlp([observationSize, hidden, hidden, actions.length], random.fork('network'), { outputScale: 3e-3 });
    this.target = this.network.copy();
    this.optimiser = new Adam(this.network.parameters, learningRate);
    this.replay = new Replay(replayCapacity);
    this.actions = new ActionList(actions);
    this.best = new BestPolicy(scoredPolicies(this.options.initialPolicies, () => TASK));
  }

  /** ε now. */
  get epsilon(): number {
    const { epsilonStart, epsilonEnd, explorationEpisodes } = this.options;
    const share = Math.min(1, this.episodes / Math.max(1, explorationEpisodes));
    return epsilonStart + (epsilonEnd - epsilonStart) * share;
  }

  act({ observation, bounds }: Step, { deterministic = false, actor = 0 }: { deterministic?: boolean; actor?: number } = {}): Action {
    checkObservation(observation, this.observationSize);
    const open = this.actions.within(bounds);
    const near = deterministic ? undefined : this.nearBest(actor);
    if (near !== undefined) {
      const index = this.actions.nearest(fromFraction(near, bounds), open);
      return { value: clip(this.actions.values[index], bounds.low, bounds.high), logProbability: 0 };
    }
    // Both draws are made in any case, so that what follows does not depend on which one was needed.
    const [explore, which] = deterministic ? [1, 0] : [this.random.uniform(), this.random.uniform()];
    const index =
      explore < this.epsilon
        ? open[Math.floor(which * open.length)]
        : best(this.values(this.network, [observation]), 0, this.actions.length, open);
    return { value: clip(this.actions.values[index], bounds.low, bounds.high), logProbability: 0 };
  }

  /** What an episode around the best policy does now, as a fraction of the range; undefined in other episodes. */
  private nearBest(actor: number): number | undefined {
    const { aroundBest, changedShare } = this.options;
    if (aroundBest === 0) return undefined;
    const guide = this.best.guide(actor, TASK, () => this.random.uniform() < aroundBest);
    const known = guide && 'around' in guide ? guide.around : undefined;
    if (known === undefined || this.random.uniform() >= changedShare) return known;
    return truncatedNormal(this.random, known, CHANGE, 0, 1);
  }

  /** @throws UserError when the reward or the observation is not a finite number. */
  observe(transition: Transition, reward: RewardFunction): UpdateDiagnostics | undefined {
    checkObservation(transition.observation, this.observationSize);
    finiteReward(reward, transition.outcome);
    this.replay.push(transition);
    this.best.see(transition, reward);
    this.seenNow++;
    if (this.replay.size < this.options.learningStarts) return undefined;
    let diagnostics: UpdateDiagnostics | undefined;
    for (let i = 0; i < this.options.updatesPerStep; i++) diagnostics = this.update(reward);
    return diagnostics;
  }

  endRound(): UpdateDiagnostics | undefined {
    this.episodes += Math.floor(this.seenNow / this.steps);
    this.seenNow = 0;
    return undefined;
  }

  private update(reward: RewardFunction): UpdateDiagnostics {
    const { gamma, minibatch, tau, doubleQ } = this.options;
    const batch = this.replay.sample(minibatch, this.random);
    const n = batch.length;
    const k = this.actions.length;

    const next = batch.map(stepAfter);
    const nextStates = next.map((step) => step.observation);
    const valued = this.values(this.target, nextStates);
    const chosenBy = doubleQ ? this.values(this.network, nextStates) : valued;
    const rewards = batch.map((t) => finiteReward(reward, t.outcome));
    const y = batch.map((t, i) => {
      if (t.done) return rewards[i];
      return rewards[i] + gamma * valued[i * k + best(chosenBy, i, k, this.actions.within(next[i].bounds))];
    });

    const activations = forward(
      this.network,
      packed(
        batch.map((t) => t.observation),
        this.observationSize,
      ),
      n,
    );
    const q = outputOf(activations);
    const taken = batch.map((t) => this.actions.nearest(t.action));
    const errors = taken.map((a, i) => y[i] - q[i * k + a]);
    // Huber's loss with δ = 1 (Mnih et al. 2015 clip the error alike): one odd reward moves the network no further than another.
    const gradient = new Float32Array(n * k);
    taken.forEach((a, i) => {
      gradient[i * k + a] = -clip(errors[i], -1, 1) / n;
    });
    this.optimiser.step(backward(this.network, activations, gradient, n).parameters);
    this.target.moveTowards(this.network, tau);
    return {
      ...NO_FIGURES,
      criticLoss: average(errors.map((e) => e * e)),
      explainedVariance: explainedVariance(y, errors),
      qMean: average(taken.map((a, i) => q[i * k + a])),
    };
  }

  /** Q of every action, [states, actions]. */
  private values(network: Mlp, states: readonly Observation[]): Float32Array {
    return outputOf(forward(network, packed(states, this.observationSize), states.length));
  }

  state(): AgentState {
    return {
      algorithm: 'dqn',
      sizes: this.network.sizes,
      network: this.network.state(),
      target: this.target.state(),
      optimiser: this.optimiser.state(),
      replay: this.replay.state(),
      best: this.best.state(),
      random: this.random.state(),
      episodes: this.episodes,
      seenNow: this.seenNow,
    };
  }

  /** @throws UserError when the state was written by another algorithm or for another shape of network. */
  restore(state: AgentState): void {
    checkAlgorithm(state, 'dqn');
    const saved = state as unknown as DqnState;
    checkSizes(saved.sizes, this.network.sizes);
    this.network.restore(saved.network);
    this.target.restore(saved.target);
    this.optimiser.restore(saved.optimiser);
    this.replay.restore(saved.replay);
    this.best.restore(saved.best);
    this.random = new Random(saved.random);
    this.episodes = saved.episodes;
    this.seenNow = saved.seenNow;
  }

  dispose(): void {
    // Nothing to free: parameters are plain arrays.
  }
}

interface DqnState {
  readonly sizes: readonly number[];
  readonly network: readonly string[];
  readonly target: readonly string[];
  readonly optimiser: AdamState;
  readonly replay: readonly Transition[];
  readonly best: AgentState;
  readonly random: readonly number[];
  readonly episodes: number;
  readonly seenNow: number;
}

/** Which of these actions has the highest Q in a row of [rows, width]; the first one on a tie. */
function best(values: Float32Array, row: number, width: number, among: readonly number[]): number {
  const from = row * width;
  return among.reduce((a, i) => (values[from + i] > values[from + a] ? i : a), among[0]);
}
