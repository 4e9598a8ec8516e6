/**
 * Compute-constrained PPO ("paper 001", two-stage PPO; restored in docs/methods.md): an off-policy critic Q_φ(s, a) stands where PPO has the
 * advantage, slow targets and target policy regularisation steady it, and every time step a minibatch updates both networks.
 *
 * Actions are handled as fractions u of the step's range [a_low, a_high]: the actor's sigmoid is the mean μ_θ(s) in u, σ is a fraction of the range,
 * and log π is the density of u. Q_φ and the environment take the action as it was executed.
 */
import type { Tensor, Tensor2D } from '@tensorflow/tfjs-core';
import { UserError } from '../errors';
import { Random } from '../random';
import type { Action, ActionBounds, Agent, AgentState, Observation, RewardFunction, Step, Transition, UpdateDiagnostics } from './agent';
import { clip, fromFraction, logNormalDensity, type NoiseSchedule, noiseAfter, normalEntropy, toFraction } from './exploration';
import { Adam, type AdamState, Mlp, valueAndGradients } from './networks';
import { Replay } from './replay';
import type { TensorBackend } from './tensor-backend';

export interface PpoOptions {
  /** Discount γ. */
  readonly gamma: number;
  readonly actorLearningRate: number;
  readonly criticLearningRate: number;
  /** Units in the one hidden layer of each network. */
  readonly hidden: number;
  /** σ of π as a fraction of the range. The floor keeps ρ finite; noise below it vanishes in the rounding to whole channels anyway. */
  readonly noise: NoiseSchedule;
  readonly minibatch: number;
  /** Transitions kept for the critic. The actor learns from those of the current and the previous policy (round) only. */
  readonly replayCapacity: number;
  /** No update before this many transitions. */
  readonly learningStarts: number;

  /** Part 1, the clipped objective: min(ρ·Q, clip(ρ, 1 − c, 1 + c)·Q); off: ρ·Q. */
  readonly clip: boolean;
  readonly clipCoefficient: number;
  /** Part 2, smoothed policy update: targets θ', φ' follow by τ; off: targets are θ and φ themselves. */
  readonly slowTargets: boolean;
  readonly tau: number;
  /** Part 3, target policy regularisation: noise N(0, σ̃²) clipped to ±c̃ on the target action; both are fractions of the range. */
  readonly targetNoise: boolean;
  readonly targetNoiseSigma: number;
  readonly targetNoiseClip: number;
  /** Part 4: a minibatch every time step; off: as many minibatches, all at the end of the round. */
  readonly perStepUpdates: boolean;

  /** Centre and scale Q over the actor's minibatch; off: the plain form, in which an all-positive Q pushes every sample up. */
  readonly normalizeQ: boolean;
  /** Improvement, off by default: Q(s, a) − Q(s, μ(s)) instead of Q(s, a), so that an action is judged against its own state's, not against other steps'. */
  readonly stateBaseline: boolean;
  /** Improvement, off by default: rewards centred and scaled over the replay (anew each round) before the critic sees them, so that Q is about actions and not about a constant. */
  readonly normalizeRewards: boolean;
  /** Improvement, off by default (0): until this many transitions were seen only the critic learns, and σ does not decay. */
  readonly warmUp: number;
  /** Improvement, off by default: the actor's minibatch takes its states from the whole replay and draws their actions anew from π_θ, judged by Q; many more actions are compared, at the price of trusting the critic. */
  readonly resampleActions: boolean;
  /** Improvement, off by default (1): rewards summed before Q_φ' takes over (n-step returns); the number of steps of an episode gives whole returns. */
  readonly returnSteps: number;
  /** Improvement, off by default (1): minibatches per time step. */
  readonly updatesPerStep: number;
  /** Improvement, off by default (1): draw this many samples and take the one with the highest Q, once `screeningStarts` transitions were seen. log π stays that of a single draw. */
  readonly criticScreening: number;
  readonly screeningStarts: number;
  /** Improvement, off by default: decisions (for example from a sensitivity scan) to which the actor is fitted by regression before it acts. Start with less noise then. */
  readonly initialPolicy: readonly InitialDecision[];
}

export interface InitialDecision {
  readonly step: Step;
  /** The action to begin with at that step, within its bounds. */
  readonly action: number;
}

export const PPO_DEFAULTS: PpoOptions = {
  gamma: 0.99,
  actorLearningRate: 1e-4,
  criticLearningRate: 1e-3,
  hidden: 64,
  noise: { start: 0.5, decay: 0.95, floor: 0.01 },
  minibatch: 64,
  replayCapacity: 2000,
  learningStarts: 64,
  clip: true,
  clipCoefficient: 0.2,
  slowTargets: true,
  tau: 0.005,
  targetNoise: true,
  targetNoiseSigma: 0.2,
  targetNoiseClip: 0.5,
  perStepUpdates: true,
  normalizeQ: true,
  stateBaseline: false,
  normalizeRewards: false,
  warmUp: 0,
  resampleActions: false,
  returnSteps: 1,
  updatesPerStep: 1,
  criticScreening: 1,
  screeningStarts: 256,
  initialPolicy: [],
};

/**
 * The improvements together, for searches of 100 to 200 episodes: the plain form hardly leaves its first policy in so few, because the critic learns late.
 * Beats random search with as many episodes on the known-answer environments (`ppo.conformance.test.ts`).
 */
export const PPO_IMPROVED: Partial<PpoOptions> = {
  actorLearningRate: 1e-3,
  criticLearningRate: 5e-3,
  tau: 0.02,
  noise: { start: 0.5, decay: 0.97, floor: 0.1 },
  warmUp: 320,
  updatesPerStep: 2,
  normalizeRewards: true,
  stateBaseline: true,
  resampleActions: true,
};

const NO_ACTOR_UPDATE = { actorLoss: Number.NaN, approxKl: 0, clipFraction: 0, qMean: Number.NaN };

/** log ρ is cut here: beyond it exp overflows, and every such sample is clipped anyway. */
const LARGEST_LOG_RATIO = 20;

export class PpoAgent implements Agent {
  readonly options: PpoOptions;
  private readonly actor: Mlp; // μ_θ
  private readonly critic: Mlp; // Q_φ
  private readonly targetActor: Mlp; // θ'
  private readonly targetCritic: Mlp; // φ'
  private readonly actorOptimiser: Adam;
  private readonly criticOptimiser: Adam;
  private readonly replay: Replay;
  private random: Random;
  /** Transitions observed under the previous and the current policy. */
  private previousCount = 0;
  private currentCount = 0;
  /** Episodes ended in earlier rounds (they set σ), and in this one. */
  private episodes = 0;
  private endedNow = 0;
  private seen = 0;
  private rewardScale: RewardScale | undefined;

  constructor(
    private readonly backend: TensorBackend,
    private readonly observationSize: number,
    random: Random,
    options: Partial<PpoOptions> = {},
  ) {
    this.options = { ...PPO_DEFAULTS, ...options };
    const { hidden, actorLearningRate, criticLearningRate, replayCapacity } = this.options;
    this.random = random.fork('samples');
    this.actor = new Mlp([observationSize, hidden, 1], random.fork('actor'), { outputScale: 3e-3 });
    this.critic = new Mlp([observationSize + 1, hidden, 1], random.fork('critic'), { outputScale: 3e-3 });
    if (this.options.initialPolicy.length > 0) this.fitActor(this.options.initialPolicy);
    this.targetActor = this.actor.copy();
    this.targetCritic = this.critic.copy();
    this.actorOptimiser = new Adam(this.actor.parameters, actorLearningRate);
    this.criticOptimiser = new Adam(this.critic.parameters, criticLearningRate);
    this.replay = new Replay(replayCapacity);
  }

  /** σ now, as a fraction of the range. */
  get sigma(): number {
    return noiseAfter(this.options.noise, this.episodes);
  }

  act(step: Step, { deterministic = false } = {}): Action {
    const { observation, bounds } = step;
    this.check(observation);
    const { sigma } = this;
    const mean = this.means(this.actor, [observation])[0];
    const at = (u: number): Action => ({ value: fromFraction(u, bounds), logProbability: logNormalDensity(u, mean, sigma) });
    if (deterministic) return at(mean);
    const { criticScreening, screeningStarts } = this.options;
    const count = this.seen >= screeningStarts ? criticScreening : 1;
    const samples = Array.from({ length: count }, () => mean + sigma * this.random.normal());
    if (count === 1) return at(samples[0]);
    const q = this.q(
      this.critic,
      samples.map(() => observation),
      samples.map((u) => fromFraction(clip(u, 0, 1), bounds)),
    );
    return at(samples[q.indexOf(Math.max(...q))]);
  }

  /** @throws UserError when the reward or the observation is not a finite number. */
  observe(transition: Transition, reward: RewardFunction): UpdateDiagnostics | undefined {
    this.check(transition.observation);
    this.replay.push(transition);
    this.currentCount++;
    this.seen++;
    if (transition.ended ?? transition.done) this.endedNow++;
    return this.options.perStepUpdates ? this.updates(this.options.updatesPerStep, reward) : undefined;
  }

  endRound(reward: RewardFunction): UpdateDiagnostics | undefined {
    const { perStepUpdates, updatesPerStep, normalizeRewards } = this.options;
    const diagnostics = perStepUpdates ? undefined : this.updates(this.currentCount * updatesPerStep, reward);
    if (normalizeRewards) this.rewardScale = this.measureRewards(reward);
    this.previousCount = this.currentCount;
    this.currentCount = 0;
    if (this.seen >= this.options.warmUp) this.episodes += this.endedNow;
    this.endedNow = 0;
    return diagnostics;
  }

  private updates(count: number, reward: RewardFunction): UpdateDiagnostics | undefined {
    let diagnostics: UpdateDiagnostics | undefined;
    for (let i = 0; i < count; i++) diagnostics = this.update(reward);
    return diagnostics;
  }

  /** One minibatch for the critic and one for the actor. Draws, in order: the critic's minibatch, the target noise, the actor's minibatch. */
  private update(reward: RewardFunction): UpdateDiagnostics | undefined {
    const { minibatch, learningStarts } = this.options;
    if (this.seen < learningStarts) return undefined;
    const critic = this.updateCritic(this.replay.sampleRuns(minibatch, this.options.returnSteps, this.random), reward);
    const actor = this.seen < this.options.warmUp ? NO_ACTOR_UPDATE : this.updateActor(this.actorBatch());
    if (this.options.slowTargets) {
      this.targetActor.moveTowards(this.actor, this.options.tau);
      this.targetCritic.moveTowards(this.critic, this.options.tau);
    }
    return { ...critic, ...actor, entropy: normalEntropy(this.sigma) };
  }

  private updateCritic(runs: readonly Transition[][], reward: RewardFunction): Pick<UpdateDiagnostics, 'criticLoss' | 'explainedVariance'> {
    const { tf } = this.backend;
    const batch = runs.map((run) => run[0]);
    const last = runs.map((run) => run[run.length - 1]);
    const { gamma, slowTargets, targetNoise, targetNoiseSigma, targetNoiseClip } = this.options;
    const targetActor = slowTargets ? this.targetActor : this.actor;
    const targetCritic = slowTargets ? this.targetCritic : this.critic;

    // Target policy regularisation: ã = clip(μ_θ'(s') + clip(N(0, σ̃²), −c̃, c̃), a_low, a_high)
    const next = last.map((t) => t.next ?? nowhere(t));
    const noise = batch.map(() => (targetNoise ? clip(targetNoiseSigma * this.random.normal(), -targetNoiseClip, targetNoiseClip) : 0));
    const nextStates = next.map((step) => step.observation);
    const nextMeans = this.means(targetActor, nextStates);
    const nextActions = next.map((step, i) => fromFraction(clip(nextMeans[i] + noise[i], 0, 1), step.bounds));

    if (this.options.normalizeRewards) this.rewardScale ??= this.measureRewards(reward);
    const { mean, deviation } = this.rewardScale ?? { mean: 0, deviation: 1 };
    // y = r + γ·(1 − done)·Q_φ'(s', ã), for returnSteps = 1
    const nextQ = this.q(targetCritic, nextStates, nextActions);
    const y = runs.map((run, i) => {
      const after = last[i].done ? 0 : gamma ** run.length * nextQ[i];
      return run.reduce((sum, t, k) => sum + (gamma ** k * (rewardOf(t, reward) - mean)) / deviation, after);
    });

    const input = criticInput(
      batch.map((t) => t.observation),
      batch.map((t) => t.action),
    );
    let q: ArrayLike<number> = [];
    const { value, gradients } = valueAndGradients(tf, this.critic, (parameters) => {
      const predicted = this.critic.forward(tf, tf.tensor2d(input, [batch.length, this.observationSize + 1]), parameters);
      q = predicted.dataSync();
      return tf.mean(tf.squaredDifference(predicted, tf.tensor2d(y, [batch.length, 1])));
    });
    this.criticOptimiser.step(gradients);
    const residual = variance(y.map((target, i) => target - q[i]));
    return { criticLoss: value, explainedVariance: variance(y) > 0 ? 1 - residual / variance(y) : Number.NaN };
  }

  /** Of the current and the previous policy; with `resampleActions` of all, with actions of π_θ. */
  private actorBatch(): Transition[] {
    const { minibatch, resampleActions } = this.options;
    if (!resampleActions) return this.replay.sample(minibatch, this.random, this.previousCount + this.currentCount);
    const batch = this.replay.sample(minibatch, this.random);
    const { sigma } = this;
    const means = this.means(
      this.actor,
      batch.map((t) => t.observation),
    );
    return batch.map((t, i) => {
      const u = means[i] + sigma * this.random.normal();
      return {
        ...t,
        sample: fromFraction(u, t.bounds),
        action: fromFraction(clip(u, 0, 1), t.bounds),
        logProbability: logNormalDensity(u, means[i], sigma),
      };
    });
  }

  private updateActor(batch: readonly Transition[]): Pick<UpdateDiagnostics, 'actorLoss' | 'approxKl' | 'clipFraction' | 'qMean'> {
    const { tf } = this.backend;
    const { clipCoefficient, normalizeQ, stateBaseline } = this.options;
    const n = batch.length;
    const { sigma } = this;
    const states = batch.map((t) => t.observation);
    const q = this.q(
      this.critic,
      states,
      batch.map((t) => t.action),
    );
    let weights = Array.from(q);
    if (stateBaseline) {
      const means = this.means(this.actor, states);
      const atMean = this.q(
        this.critic,
        states,
        batch.map((t, i) => fromFraction(means[i], t.bounds)),
      );
      weights = weights.map((value, i) => value - atMean[i]);
    }
    if (normalizeQ) weights = standardized(weights);
    // Where the bounds leave a single action there is nothing to learn, and the sample's fraction is not known.
    weights = weights.map((value, i) => (isFree(batch[i].bounds) ? value : 0));

    const logRatios = tf.tidy(() => {
      // log ρ = log π_θ(u|s) − log π_θold(u|s) = −(u − μ_θ(s))²/2σ² + constant
      const sample = tf.tensor2d(
        batch.map((t) => toFraction(t.sample, t.bounds)),
        [n, 1],
      );
      const constant = tf.tensor2d(
        batch.map((t) => logNormalDensity(0, 0, sigma) - t.logProbability),
        [n, 1],
      );
      const input = tf.tensor2d(states.flat(), [n, this.observationSize]);
      const weight = tf.tensor2d(weights, [n, 1]);
      let logRatio: Float32Array = new Float32Array(0);
      const { value, gradients } = valueAndGradients(tf, this.actor, (parameters) => {
        const mean = tf.sigmoid(this.actor.forward(tf, input, parameters));
        const log = tf.clipByValue(
          tf.add(tf.mul(tf.squaredDifference(sample, mean), -0.5 / sigma ** 2), constant),
          -LARGEST_LOG_RATIO,
          LARGEST_LOG_RATIO,
        );
        logRatio = log.dataSync() as Float32Array;
        return tf.neg(tf.mean(this.objective(tf.exp(log), weight)));
      });
      this.actorOptimiser.step(gradients);
      return { value, logRatio };
    });
    const ratios = Array.from(logRatios.logRatio, Math.exp).filter((_, i) => isFree(batch[i].bounds));
    return {
      actorLoss: logRatios.value,
      approxKl: average(ratios.map((ratio) => ratio - 1 - Math.log(ratio))),
      clipFraction: average(ratios.map((ratio) => (Math.abs(ratio - 1) > clipCoefficient ? 1 : 0))),
      qMean: average(Array.from(q)),
    };
  }

  /** min(ρ·Q, clip(ρ, 1 − c, 1 + c)·Q), elementwise; ρ·Q without clipping. */
  private objective(ratio: Tensor, q: Tensor): Tensor {
    const { tf } = this.backend;
    const { clip: clipped, clipCoefficient } = this.options;
    const plain = tf.mul(ratio, q);
    if (!clipped) return plain;
    return tf.minimum(plain, tf.mul(tf.clipByValue(ratio, 1 - clipCoefficient, 1 + clipCoefficient), q));
  }

  private measureRewards(reward: RewardFunction): RewardScale {
    const rewards = this.replay.state().map((transition) => rewardOf(transition, reward));
    return { mean: average(rewards), deviation: Math.sqrt(variance(rewards)) || 1 };
  }

  /** μ(s) as a fraction of the range, for each state. */
  private means(network: Mlp, states: readonly Observation[]): ArrayLike<number> {
    const { tf } = this.backend;
    return tf.tidy(() => tf.sigmoid(network.forward(tf, tf.tensor2d(states.flat(), [states.length, this.observationSize]))).dataSync());
  }

  private q(network: Mlp, states: readonly Observation[], actions: readonly number[]): Float32Array {
    const { tf } = this.backend;
    return tf.tidy(
      () =>
        network
          .forward(tf, tf.tensor2d(criticInput(states, actions), [states.length, this.observationSize + 1]))
          .dataSync() as Float32Array,
    );
  }

  /** Regression of μ_θ to the given decisions, before the first action. */
  private fitActor(decisions: readonly InitialDecision[]): void {
    const { tf } = this.backend;
    const optimiser = new Adam(this.actor.parameters, 1e-2);
    const n = decisions.length;
    const input = decisions.flatMap(({ step }) => {
      this.check(step.observation);
      return [...step.observation];
    });
    // The sigmoid reaches neither 0 nor 1, and has no slope left where it comes close.
    const wanted = decisions.map(({ step, action }) => clip(toFraction(action, step.bounds), 0.02, 0.98));
    for (let i = 0; i < 1000; i++) {
      const { value, gradients } = valueAndGradients(tf, this.actor, (parameters) => {
        const mean = tf.sigmoid(this.actor.forward(tf, tf.tensor2d(input, [n, this.observationSize]) as Tensor2D, parameters));
        return tf.mean(tf.squaredDifference(mean, tf.tensor2d(wanted, [n, 1])));
      });
      if (value < 1e-5) return;
      optimiser.step(gradients);
    }
  }

  private check(observation: Observation): void {
    if (observation.length !== this.observationSize || !observation.every(Number.isFinite)) {
      throw new UserError(
        `The agent expects observations of ${this.observationSize} finite numbers and got [${observation.join(', ')}].`,
        'Check the cost figures of the layer this step decides; a checkpoint can only be resumed on the model it was made with.',
      );
    }
  }

  state(): AgentState {
    return {
      algorithm: 'ppo',
      backend: this.backend.name,
      actor: this.actor.state(),
      critic: this.critic.state(),
      targetActor: this.targetActor.state(),
      targetCritic: this.targetCritic.state(),
      actorOptimiser: this.actorOptimiser.state(),
      criticOptimiser: this.criticOptimiser.state(),
      replay: this.replay.state(),
      random: this.random.state(),
      previousCount: this.previousCount,
      currentCount: this.currentCount,
      episodes: this.episodes,
      endedNow: this.endedNow,
      seen: this.seen,
      rewardScale: this.rewardScale,
    };
  }

  /** @throws UserError when the state was written by another algorithm, tensor backend or shape of network. */
  restore(state: AgentState): void {
    const saved = state as unknown as PpoState;
    if (saved.algorithm !== 'ppo') {
      throw new UserError(
        `The checkpoint was written by the agent "${saved.algorithm}", not by "ppo".`,
        'Resume with the method the run was started with.',
      );
    }
    if (saved.backend !== this.backend.name) {
      throw new UserError(
        `The checkpoint was written on ${saved.backend}, and this agent runs on ${this.backend.name}; the results would not be the same.`,
        'Resume with the same tensor backend, or start a new run.',
      );
    }
    this.actor.restore(saved.actor);
    this.critic.restore(saved.critic);
    this.targetActor.restore(saved.targetActor);
    this.targetCritic.restore(saved.targetCritic);
    this.actorOptimiser.restore(saved.actorOptimiser);
    this.criticOptimiser.restore(saved.criticOptimiser);
    this.replay.restore(saved.replay);
    this.random = new Random(saved.random);
    this.previousCount = saved.previousCount;
    this.currentCount = saved.currentCount;
    this.episodes = saved.episodes;
    this.endedNow = saved.endedNow;
    this.seen = saved.seen;
    this.rewardScale = saved.rewardScale;
  }

  dispose(): void {
    // Nothing to free: parameters are plain arrays, and every tensor ends with the `tidy` it was made in.
  }
}

interface PpoState {
  readonly algorithm: string;
  readonly backend: string;
  readonly actor: readonly string[];
  readonly critic: readonly string[];
  readonly targetActor: readonly string[];
  readonly targetCritic: readonly string[];
  readonly actorOptimiser: AdamState;
  readonly criticOptimiser: AdamState;
  readonly replay: readonly Transition[];
  readonly random: readonly number[];
  readonly previousCount: number;
  readonly currentCount: number;
  readonly episodes: number;
  readonly endedNow: number;
  readonly seen: number;
  readonly rewardScale?: RewardScale;
}

interface RewardScale {
  readonly mean: number;
  readonly deviation: number;
}

/** [s, a] in rows, flattened. */
function criticInput(states: readonly Observation[], actions: readonly number[]): number[] {
  return states.flatMap((state, i) => [...state, actions[i]]);
}

/** False where the bounds leave a single action. */
function isFree({ low, high }: ActionBounds): boolean {
  return high > low;
}

/** A stand-in for the next step of a last transition; its Q is multiplied by 1 − done = 0. */
function nowhere({ observation, bounds }: { observation: Observation; bounds: ActionBounds }): Step {
  return { observation, bounds };
}

function rewardOf(transition: Transition, reward: RewardFunction): number {
  const value = reward(transition.outcome);
  if (!Number.isFinite(value)) {
    throw new UserError(
      `The reward is ${value} for an accuracy of ${transition.outcome.accuracy} at ${transition.outcome.flops} multiply-accumulates.`,
      'Change the reward so that it is a finite number for every outcome (look for divisions by zero and logarithms of zero).',
    );
  }
  return value;
}

function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function variance(values: readonly number[]): number {
  const mean = average(values);
  return average(values.map((value) => (value - mean) ** 2));
}

/** Centred, and scaled to a standard deviation of one (unscaled where all are equal). */
function standardized(values: readonly number[]): number[] {
  const mean = average(values);
  const deviation = Math.sqrt(variance(values));
  return values.map((value) => (value - mean) / (deviation + 1e-8));
}
