/**
 * N2N's agents (Ashok, Rhinehart, Beainy, Kitani 2017, "N2N Learning: Network to Network Compression via Policy Gradient Reinforcement
 * Learning", section 3): a recurrent policy picks one of a few choices for each layer, trained by REINFORCE with a moving baseline. Layer
 * removal reads the whole network in both directions before it decides; layer shrinkage goes forwards and sees its last choice.
 */
import type { Tensor2D } from '@tensorflow/tfjs-core';
import { Random } from '../random';
import { ActionList } from './action-list';
import type { Action, ActionBounds, Agent, AgentState, Observation, RewardFunction, Step, Transition, UpdateDiagnostics } from './agent';
import { checkAlgorithm, checkObservation, checkSizes, finiteReward } from './checks';
import { clip } from './exploration';
import { type CellState, LstmPolicy } from './lstm';
import { Adam, type AdamState, valueAndGradients } from './networks';
import { NO_FIGURES } from './no-figures';
import { average, movedAverage } from './statistics';
import type { TensorBackend } from './tensor-backend';

export interface SequencePolicyOptions {
  readonly learningRate: number;
  /** Units of the LSTM, in each direction. */
  readonly hidden: number;
  /** Episodes of one update. */
  readonly samples: number;
  /** Weight of the newest episodes' mean reward in the baseline. */
  readonly baselineRate: number;
  /** Weight of the mean entropy of the steps, which keeps a policy from settling before it has tried enough; 0 is the paper's. */
  readonly entropyWeight: number;
}

export const SEQUENCE_POLICY_DEFAULTS: SequencePolicyOptions = {
  learningRate: 3e-2,
  hidden: 32,
  samples: 5,
  baselineRate: 0.3,
  entropyWeight: 0.3,
};

/** Advantages beyond so many deviations weigh no more. */
const MOST_DEVIATIONS = 2;

interface Decision {
  /** What the LSTM read. */
  readonly input: readonly number[];
  readonly bounds: ActionBounds;
  readonly choice: number;
}

interface Draw {
  readonly decisions: readonly Decision[];
  /** Of each step; all the same where an episode is credited as one. */
  readonly rewards: readonly number[];
}

interface Running {
  /** Steps acted in this episode. */
  acted: number;
  /** The choice before, −1 at first; what the forward LSTM remembers. */
  last: number;
  cell: { output: number[]; memory: number[] };
  readonly inputs: Array<readonly number[]>;
  readonly decisions: Decision[];
  readonly rewards: number[];
}

/** 'both': the LSTM reads the whole sequence in both directions, which has to be known. 'forwards': step by step, with the last choice. */
export type SequenceReading = { readonly kind: 'both'; readonly sequence: readonly Observation[] } | { readonly kind: 'forwards' };

export class SequencePolicyAgent implements Agent {
  readonly options: SequencePolicyOptions;
  private readonly network: LstmPolicy;
  private readonly optimiser: Adam;
  private readonly actions: ActionList;
  /** As the LSTM reads it, where it is known before an episode begins. */
  private readonly sequence: ReadonlyArray<readonly number[]> | undefined;
  private random: Random;
  private running = new Map<number, Running>();
  /** The episode of `act` without noise, which nobody observes. */
  private greedy: Running | undefined;
  private draws: Draw[] = [];
  /** Moving mean of what each step and those after it are paid. */
  private baseline: readonly number[] | undefined;
  /** Scores of the whole sequence, until the network changes. */
  private known: readonly (readonly number[])[] | undefined;

  /**
   * @param actions the values an action may have
   * @param steps of an episode
   */
  constructor(
    private readonly backend: TensorBackend,
    private readonly observationSize: number,
    actions: readonly number[],
    private readonly steps: number,
    reading: SequenceReading,
    random: Random,
    options: Partial<SequencePolicyOptions> = {},
  ) {
    this.options = { ...SEQUENCE_POLICY_DEFAULTS, ...options };
    const { hidden, learningRate } = this.options;
    this.random = random.fork('samples');
    const both = reading.kind === 'both';
    this.sequence = both ? reading.sequence.map(centred) : undefined;
    // Forwards the last choice is read as well, one number a choice.
    const inputs = observationSize + (both ? 0 : actions.length);
    this.network = new LstmPolicy(inputs, hidden, actions.length, random.fork('network'), { bidirectional: both });
    this.optimiser = new Adam(this.network.parameters, learningRate);
    this.actions = new ActionList(actions);
  }

  act({ observation, bounds }: Step, { deterministic = false, actor = 0 }: { deterministic?: boolean; actor?: number } = {}): Action {
    checkObservation(observation, this.observationSize);
    const running = this.episodeOf(actor, deterministic);
    const input = this.inputOf(observation, running.last);
    const scores = this.scoresFor(running, input);
    const open = this.actions.within(bounds);
    const p = softmax(scores, open);
    const choice = deterministic ? open.reduce((a, i) => (p[i] > p[a] ? i : a), open[0]) : pick(p, open, this.random.uniform());
    running.acted++;
    running.last = choice;
    if (!deterministic) running.inputs.push(input);
    return { value: clip(this.actions.values[choice], bounds.low, bounds.high), logProbability: Math.log(p[choice]) };
  }

  private episodeOf(actor: number, deterministic: boolean): Running {
    const known = deterministic ? this.greedy : this.running.get(actor);
    if (known && known.acted < this.steps) return known;
    const { output, memory } = this.network.start();
    const fresh: Running = {
      acted: 0,
      last: -1,
      cell: { output: [...output], memory: [...memory] },
      inputs: [],
      decisions: [],
      rewards: [],
    };
    if (deterministic) this.greedy = fresh;
    else this.running.set(actor, fresh);
    return fresh;
  }

  private inputOf(observation: Observation, last: number): readonly number[] {
    if (this.sequence) return [];
    return [...centred(observation), ...this.actions.values.map((_, i) => (i === last ? 1 : 0))];
  }

  /** Scores of the step at hand; forwards, the memory moves on. */
  private scoresFor(running: Running, input: readonly number[]): number[] {
    if (this.sequence) {
      this.known ??= this.network.sequenceScores(this.sequence);
      return [...this.known[running.acted]];
    }
    const before: CellState = { output: Float64Array.from(running.cell.output), memory: Float64Array.from(running.cell.memory) };
    const { output, memory } = this.network.step(before, input);
    running.cell = { output: [...output], memory: [...memory] };
    return this.network.scores([output]);
  }

  /** @throws UserError when the reward or the observation is not a finite number. */
  observe({ observation, bounds, sample, outcome, actor, done, ended }: Transition, reward: RewardFunction): UpdateDiagnostics | undefined {
    checkObservation(observation, this.observationSize);
    const running = this.running.get(actor);
    if (!running) throw new Error(`a transition of actor ${actor}, which has not acted`);
    running.rewards.push(finiteReward(reward, outcome));
    // What was drawn, not what an environment rounded it to: that is what has the probability.
    running.decisions.push({ input: running.inputs[running.decisions.length], bounds, choice: this.actions.nearest(sample) });
    if (!(ended ?? done)) return undefined;
    this.running.delete(actor);
    this.draws.push({ decisions: running.decisions, rewards: running.rewards });
    return this.draws.length >= this.options.samples ? this.update() : undefined;
  }

  endRound(): UpdateDiagnostics | undefined {
    this.greedy = undefined;
    return undefined;
  }

  /** One step up the gradient of the mean over the episodes of Σ_t (R_t − b_t)·log π_t, R_t what step t and those after it were paid. */
  private update(): UpdateDiagnostics {
    const { tf } = this.backend;
    const { draws } = this;
    this.draws = [];
    const { baselineRate, entropyWeight } = this.options;
    const n = draws.length;
    const returns = draws.map((d) => toGo(d.rewards));
    const before = this.baseline;
    const b = Array.from({ length: this.steps }, (_, t) => movedAverage(before?.[t], average(returns.map((r) => r[t])), baselineRate));
    this.baseline = b;
    /** By step: one weight for each episode. */
    const weights = b.map((base, t) => {
      const deviation = Math.sqrt(average(returns.map((r) => (r[t] - base) ** 2)));
      return returns.map((r) => (deviation > 0 ? clip((r[t] - base) / deviation, -MOST_DEVIATIONS, MOST_DEVIATIONS) : 0));
    });
    const k = this.actions.length;
    const allowed = draws.map((d) => d.decisions.map(({ bounds }) => this.actions.within(bounds)));
    const { value, gradients } = valueAndGradients(tf, this.network, (parameters) => {
      const inputs = Array.from({ length: this.steps }, (_, t): Tensor2D => {
        const rows = draws.map((d) => this.sequence?.[t] ?? d.decisions[t].input);
        return tf.tensor2d(rows.flat(), [n, this.network.inputs]);
      });
      const terms = this.network.forward(tf, inputs, parameters).map((scores, t) => {
        // Choices outside of the bounds had no probability.
        const shut = draws.flatMap((_, i) => Array.from({ length: k }, (_, c) => (allowed[i][t].includes(c) ? 0 : -1e9)));
        const taken = draws.flatMap((d) => Array.from({ length: k }, (_, c) => (d.decisions[t].choice === c ? 1 : 0)));
        const logs = tf.logSoftmax(tf.add(scores, tf.tensor2d(shut, [n, k])) as Tensor2D);
        const chosen = tf.mul(tf.sum(tf.mul(logs, tf.tensor2d(taken, [n, k])), 1), tf.tensor1d(weights[t]));
        if (entropyWeight === 0) return chosen;
        // Shut choices have p = 0, and 0·log p is 0 here: their log is finite.
        return tf.sub(chosen, tf.mul(tf.sum(tf.mul(tf.exp(logs), logs), 1), entropyWeight));
      });
      const total = terms.reduce((a, term) => tf.add(a, term));
      return tf.neg(tf.mean(total));
    });
    this.optimiser.step(gradients);
    this.known = undefined;
    return { ...NO_FIGURES, actorLoss: value, qMean: average(draws.map((d) => average(d.rewards))) };
  }

  state(): AgentState {
    return {
      algorithm: 'sequence-policy',
      sizes: this.sizes,
      network: this.network.state(),
      optimiser: this.optimiser.state(),
      random: this.random.state(),
      running: [...this.running],
      draws: this.draws,
      baseline: this.baseline,
    };
  }

  private get sizes(): number[] {
    return [this.network.inputs, this.network.hidden, this.network.choices];
  }

  /** @throws UserError when the state was written by another algorithm or for another shape of network. */
  restore(state: AgentState): void {
    checkAlgorithm(state, 'sequence-policy');
    const saved = state as unknown as SequencePolicyState;
    checkSizes(saved.sizes, this.sizes);
    this.network.restore(saved.network);
    this.optimiser.restore(saved.optimiser);
    this.known = undefined;
    this.random = new Random(saved.random);
    this.running = new Map(saved.running);
    this.greedy = undefined;
    this.draws = [...saved.draws];
    this.baseline = saved.baseline;
  }

  dispose(): void {
    // Nothing to free: tensors live only within an update.
  }
}

interface SequencePolicyState {
  readonly sizes: readonly number[];
  readonly network: readonly string[];
  readonly optimiser: AdamState;
  readonly random: readonly number[];
  readonly running: readonly [number, Running][];
  readonly draws: readonly Draw[];
  readonly baseline: readonly number[] | undefined;
}

/** Probabilities of the open choices; 0 for the others. */
function softmax(scores: readonly number[], open: readonly number[]): number[] {
  const highest = Math.max(...open.map((i) => scores[i]));
  const powers = scores.map((s, i) => (open.includes(i) ? Math.exp(s - highest) : 0));
  const sum = powers.reduce((a, p) => a + p, 0);
  return powers.map((p) => p / sum);
}

/** The choice at a uniform draw. */
function pick(p: readonly number[], open: readonly number[], draw: number): number {
  let below = 0;
  for (const i of open) {
    below += p[i];
    if (draw < below) return i;
  }
  return open[open.length - 1];
}

/** From [0, 1] to [−1, 1]: what is near the middle should not push every gate the same way. */
const centred = (observation: Observation): number[] => observation.map((x) => 2 * x - 1);

/** Sums from each step to the last. */
function toGo(rewards: readonly number[]): number[] {
  const sums = [...rewards];
  for (let t = sums.length - 2; t >= 0; t--) sums[t] += sums[t + 1];
  return sums;
}
