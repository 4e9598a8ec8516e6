/**
 * RLP's agent (Yang, Xu 2020, "From Rule-based to Learning-based Network Pruning", section 2.1): a network reads each filter's weights and
 * gives its probability of staying; decisions are Bernoulli draws. REINFORCE over K whole draws, with log π and a moving baseline, both of
 * which the paper's gradient leaves out. Action 0 keeps what the step shows, 1 removes it.
 */
import { Random } from '../random';
import type { Action, ActionBounds, Agent, AgentState, Observation, RewardFunction, Step, Transition, UpdateDiagnostics } from './agent';
import { checkAlgorithm, checkObservation, checkSizes, finiteReward } from './checks';
import { clip } from './exploration';
import { backward, forward, outputOf, packed, sigmoid } from './mlp-math';
import { Adam, type AdamState, Mlp } from './networks';
import { NO_FIGURES } from './no-figures';
import { average, movedAverage } from './statistics';

export interface FilterPolicyOptions {
  readonly learningRate: number;
  /** Units of the hidden layer. */
  readonly hidden: number;
  /** Whole draws (episodes) of one update: the paper's K. */
  readonly samples: number;
  /** Weight of the newest draws' mean reward in the baseline. */
  readonly baselineRate: number;
  /** Probability of staying before anything is learned. */
  readonly initialKeep: number;
}

export const FILTER_POLICY_DEFAULTS: FilterPolicyOptions = {
  learningRate: 1e-2,
  hidden: 64,
  samples: 8,
  baselineRate: 0.5,
  initialKeep: 0.8,
};

/** Advantages beyond so many deviations weigh no more: one collapsed network would drown what tells the others apart. */
const MOST_DEVIATIONS = 2;

/** One decision, as much of it as an update needs. */
interface Decision {
  readonly observation: Observation;
  readonly removed: boolean;
}

interface Draw {
  /** Only those that were free: bounds decide the others. */
  readonly decisions: readonly Decision[];
  /** Mean reward of its steps: that of the whole, where an episode is credited as one. */
  readonly reward: number;
}

interface Running {
  readonly decisions: Decision[];
  readonly rewards: number[];
}

export class FilterPolicyAgent implements Agent {
  readonly options: FilterPolicyOptions;
  /** Score whose sigmoid is the probability of staying. */
  private readonly network: Mlp;
  private readonly optimiser: Adam;
  private random: Random;
  private running = new Map<number, Running>();
  private draws: Draw[] = [];
  private baseline: number | undefined;

  constructor(
    private readonly observationSize: number,
    random: Random,
    options: Partial<FilterPolicyOptions> = {},
  ) {
    this.options = { ...FILTER_POLICY_DEFAULTS, ...options };
    const { hidden, learningRate, initialKeep } = this.options;
    this.random = random.fork('samples');
    this.network = new Mlp([observationSize, hidden, 1], random.fork('network'), { outputScale: 3e-3 });
    this.network.parameters[3][0] = Math.log(initialKeep / (1 - initialKeep));
    this.optimiser = new Adam(this.network.parameters, learningRate);
  }

  act({ observation, bounds }: Step, { deterministic = false } = {}): Action {
    checkObservation(observation, this.observationSize);
    const [keep] = this.keepProbabilities([observation]);
    // Drawn in any case, so that what follows does not depend on which steps were free.
    const removed = deterministic ? keep < 0.5 : this.random.uniform() >= keep;
    return { value: clip(removed ? 1 : 0, bounds.low, bounds.high), logProbability: Math.log(removed ? 1 - keep : keep) };
  }

  /** @throws UserError when the reward or the observation is not a finite number. */
  observe({ observation, bounds, action, outcome, actor, done, ended }: Transition, reward: RewardFunction): UpdateDiagnostics | undefined {
    checkObservation(observation, this.observationSize);
    const running = this.running.get(actor) ?? { decisions: [], rewards: [] };
    this.running.set(actor, running);
    running.rewards.push(finiteReward(reward, outcome));
    if (isFree(bounds)) running.decisions.push({ observation, removed: action >= 0.5 });
    if (!(ended ?? done)) return undefined;
    this.running.delete(actor);
    this.draws.push({ decisions: running.decisions, reward: average(running.rewards) });
    return this.draws.length >= this.options.samples ? this.update() : undefined;
  }

  endRound(): UpdateDiagnostics | undefined {
    return undefined;
  }

  /** One step up the gradient of the mean of (R − b)·Σ log π over the draws. */
  private update(): UpdateDiagnostics | undefined {
    const { draws } = this;
    this.draws = [];
    const { baselineRate } = this.options;
    const mean = average(draws.map((d) => d.reward));
    const b = movedAverage(this.baseline, mean, baselineRate);
    this.baseline = b;
    const deviation = Math.sqrt(average(draws.map((d) => (d.reward - b) ** 2)));
    const rows = draws.flatMap((draw) =>
      draw.decisions.map((decision) => ({ ...decision, weight: this.weight(draw.reward - b, deviation) })),
    );
    if (rows.length === 0) return undefined;
    const input = packed(
      rows.map((r) => r.observation),
      this.observationSize,
    );
    const activations = forward(this.network, input, rows.length);
    const keep = Array.from(outputOf(activations), sigmoid);
    // d log π / d score: 1 − p where the filter stayed, −p where it went.
    const gradient = Float32Array.from(rows, ({ removed, weight }, i) => (-weight * ((removed ? 0 : 1) - keep[i])) / draws.length);
    this.optimiser.step(backward(this.network, activations, gradient, rows.length).parameters);
    const logs = rows.map(({ removed }, i) => Math.log(Math.max(removed ? 1 - keep[i] : keep[i], Number.MIN_VALUE)));
    return {
      ...NO_FIGURES,
      actorLoss: -rows.reduce((sum, r, i) => sum + r.weight * logs[i], 0) / draws.length,
      entropy: average(keep.map((p) => entropyOf(p) + entropyOf(1 - p))),
      qMean: mean,
    };
  }

  private weight(advantage: number, deviation: number): number {
    return deviation > 0 ? clip(advantage / deviation, -MOST_DEVIATIONS, MOST_DEVIATIONS) : 0;
  }

  /** Probability of staying of each. */
  keepProbabilities(observations: readonly Observation[]): number[] {
    return Array.from(outputOf(forward(this.network, packed(observations, this.observationSize), observations.length)), sigmoid);
  }

  state(): AgentState {
    return {
      algorithm: 'filter-policy',
      sizes: this.network.sizes,
      network: this.network.state(),
      optimiser: this.optimiser.state(),
      random: this.random.state(),
      running: [...this.running],
      draws: this.draws,
      baseline: this.baseline,
    };
  }

  /** @throws UserError when the state was written by another algorithm or for another shape of network. */
  restore(state: AgentState): void {
    checkAlgorithm(state, 'filter-policy');
    const saved = state as unknown as FilterPolicyState;
    checkSizes(saved.sizes, this.network.sizes);
    this.network.restore(saved.network);
    this.optimiser.restore(saved.optimiser);
    this.random = new Random(saved.random);
    this.running = new Map(saved.running);
    this.draws = [...saved.draws];
    this.baseline = saved.baseline;
  }

  dispose(): void {
    // Nothing to free: parameters are plain arrays.
  }
}

interface FilterPolicyState {
  readonly sizes: readonly number[];
  readonly network: readonly string[];
  readonly optimiser: AdamState;
  readonly random: readonly number[];
  readonly running: readonly [number, Running][];
  readonly draws: readonly Draw[];
  readonly baseline: number | undefined;
}

/** Whether a step left a choice between keeping and removing. */
const isFree = ({ low, high }: ActionBounds): boolean => low < 0.5 && high >= 0.5;

const entropyOf = (p: number): number => (p > 0 ? -p * Math.log(p) : 0);
