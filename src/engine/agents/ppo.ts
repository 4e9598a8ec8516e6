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
import { ActorCritic, type ActorCriticState, criticRows } from './actor-critic';
import type { Action, ActionBounds, Agent, AgentState, Observation, RewardFunction, Step, Transition, UpdateDiagnostics } from './agent';
import { BestPolicy, type FoundPolicy, type Guide, type KnownPolicy } from './best-policy';
import { checkAlgorithm, checkObservation, finiteReward } from './checks';
import { clip, fromFraction, logNormalDensity, noiseAfter, normalEntropy, toFraction } from './exploration';
import { type InitialDecision, scoredPolicies } from './initial-policy';
import { untriedNeighbours } from './neighbours';
import { Adam, type Mlp, valueAndGradients } from './networks';
import { PPO_DEFAULTS, type PpoOptions } from './ppo-options';
import { Replay, stepAfter } from './replay';
import { scaledPolicy } from './scaled-policy';
import { average, explainedVariance, standardized, variance } from './statistics';
import type { TensorBackend } from './tensor-backend';

/** Share of σ that actions get which are to stay as they are: enough for the critic to see a slope. */
const UNCHANGED = 0.1;

/** σ is widened up to this: with more of it most samples lie beyond the bounds. */
const WIDEST = 0.5;

const NO_ACTOR_UPDATE = { actorLoss: Number.NaN, approxKl: 0, clipFraction: 0, qMean: Number.NaN };

/** log ρ is cut here: beyond it exp overflows, and every such sample is clipped anyway. */
const LARGEST_LOG_RATIO = 20;

export class PpoAgent implements Agent {
  readonly options: PpoOptions;
  private readonly networks: ActorCritic;
  private readonly replay: Replay;
  private readonly best: BestPolicy;
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
    const { hidden, initialPolicies, replayCapacity } = this.options;
    this.random = random.fork('samples');
    this.networks = new ActorCritic({ ...this.options, observationSize, hidden: [hidden] }, random);
    if (initialPolicies.length > 0) {
      this.fitActor(initialPolicies.flatMap((p) => p.decisions));
      this.networks.moveTargets(1);
    }
    this.replay = new Replay(replayCapacity);
    this.best = new BestPolicy(scoredPolicies(initialPolicies, (first) => this.taskOf(first)));
  }

  /** σ now, as a fraction of the range. */
  get sigma(): number {
    return noiseAfter(this.options.noise, this.episodes);
  }

  act(step: Step, { deterministic = false, actor = 0 }: { deterministic?: boolean; actor?: number } = {}): Action {
    const { observation, bounds } = step;
    checkObservation(observation, this.observationSize);
    const mean = this.means(this.networks.actor, [observation])[0];
    const exactly = (u: number): Action => ({ value: fromFraction(u, bounds), logProbability: logNormalDensity(u, u, this.sigma) });
    if (deterministic) return exactly(mean);
    const guide = this.guide(actor, observation);
    if (guide && 'exactly' in guide) return exactly(clip(toFraction(guide.exactly, bounds), 0, 1));
    const { criticScreening, screeningStarts, widenRepeats } = this.options;
    const repeats = widenRepeats ? this.best.repeats : 0;
    const changedShare = this.options.changedShare * 2 ** repeats;
    const widened = Math.max(this.sigma, Math.min(WIDEST, this.sigma * 2 ** repeats));
    const centre = guide?.around ?? mean;
    const whole = changedShare >= 1 || this.random.uniform() < changedShare;
    const sigma = whole ? widened : UNCHANGED * widened;
    const at = (u: number): Action => ({ value: fromFraction(u, bounds), logProbability: logNormalDensity(u, centre, sigma) });
    const count = this.seen >= screeningStarts && repeats < 2 ? criticScreening : 1;
    const samples = Array.from({ length: count }, () => centre + sigma * this.random.normal());
    if (count === 1) return at(samples[0]);
    const q = this.q(
      this.networks.critic,
      samples.map(() => observation),
      samples.map((u) => fromFraction(clip(u, 0, 1), bounds)),
    );
    return at(samples[q.indexOf(Math.max(...q))]);
  }

  /** What guides an action, where it is not the actor's network alone. What is off draws no random number. */
  private guide(actor: number, observation: Observation): Guide | undefined {
    const { aroundBest, transfer } = this.options;
    if (aroundBest === 0 && !transfer) return undefined;
    const task = this.taskOf(observation);
    return this.best.guide(
      actor,
      task,
      () => aroundBest > 0 && this.random.uniform() < aroundBest,
      (best, tried) => this.nearby(task, best, tried),
    );
  }

  /** A policy near the best one that was not tried yet: of a few, once the critic has learnt, the one that it thinks most of. */
  private nearby(task: string, best: KnownPolicy, tried: (actions: readonly number[]) => boolean): readonly number[] | undefined {
    const { neighbourhood, criticScreening, screeningStarts } = this.options;
    if (!neighbourhood) return undefined;
    const wanted = this.seen >= screeningStarts ? criticScreening : 1;
    const found = untriedNeighbours(neighbourhood, task, best.actions, wanted, tried, this.random);
    if (found.length <= 1) return found[0];
    const worth = found.map((actions) => average(Array.from(this.q(this.networks.critic, best.observations, actions))));
    return found[worth.indexOf(Math.max(...worth))];
  }

  /** What is good for one task is tried for the others as well. */
  private propose({ task, actions }: FoundPolicy): void {
    const { tasks, highest } = this.options.transfer ?? { tasks: [], highest: [] };
    for (const other of tasks) {
      const scaled = other.name === task ? undefined : scaledPolicy(actions, other, highest);
      if (scaled) this.best.propose(other.name, scaled);
    }
  }

  private taskOf(observation: Observation): string {
    return observation.slice(observation.length - this.options.taskNumbers).join(' ');
  }

  /** @throws UserError when the reward or the observation is not a finite number. */
  observe(transition: Transition, reward: RewardFunction): UpdateDiagnostics | undefined {
    checkObservation(transition.observation, this.observationSize);
    this.replay.push(transition);
    const found = this.best.see(transition, reward);
    if (found) this.propose(found);
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
    if (this.options.slowTargets) this.networks.moveTargets(this.options.tau);
    return { ...critic, ...actor, entropy: normalEntropy(this.sigma) };
  }

  private updateCritic(runs: readonly Transition[][], reward: RewardFunction): Pick<UpdateDiagnostics, 'criticLoss' | 'explainedVariance'> {
    const { tf } = this.backend;
    const batch = runs.map((run) => run[0]);
    const last = runs.map((run) => run[run.length - 1]);
    const { gamma, slowTargets, targetNoise, targetNoiseSigma, targetNoiseClip } = this.options;
    const { actor, critic, criticOptimiser } = this.networks;
    const [targetActor, targetCritic] = slowTargets ? [this.networks.targetActor, this.networks.targetCritic] : [actor, critic];

    // Target policy regularisation: ã = clip(μ_θ'(s') + clip(N(0, σ̃²), −c̃, c̃), a_low, a_high)
    const next = last.map(stepAfter);
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
      return run.reduce((sum, t, k) => sum + (gamma ** k * (finiteReward(reward, t.outcome) - mean)) / deviation, after);
    });

    const input = criticRows(
      batch.map((t) => t.observation),
      batch.map((t) => t.action),
    );
    let q: ArrayLike<number> = [];
    const { value, gradients } = valueAndGradients(tf, critic, (parameters) => {
      const predicted = critic.forward(tf, tf.tensor2d(input, [batch.length, this.observationSize + 1]), parameters);
      q = predicted.dataSync();
      return tf.mean(tf.squaredDifference(predicted, tf.tensor2d(y, [batch.length, 1])));
    });
    criticOptimiser.step(gradients);
    const errors = y.map((target, i) => target - q[i]);
    return { criticLoss: value, explainedVariance: explainedVariance(y, errors) };
  }

  /** Of the current and the previous policy; with `resampleActions` of all, with actions of π_θ. */
  private actorBatch(): Transition[] {
    const { minibatch, resampleActions } = this.options;
    if (!resampleActions) return this.replay.sample(minibatch, this.random, this.previousCount + this.currentCount);
    const batch = this.replay.sample(minibatch, this.random);
    const { sigma } = this;
    const means = this.means(
      this.networks.actor,
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
    const { actor, actorOptimiser, critic } = this.networks;
    const n = batch.length;
    const { sigma } = this;
    const states = batch.map((t) => t.observation);
    const q = this.q(
      critic,
      states,
      batch.map((t) => t.action),
    );
    let weights = Array.from(q);
    if (stateBaseline) {
      const means = this.means(this.networks.actor, states);
      const atMean = this.q(
        critic,
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
      const { value, gradients } = valueAndGradients(tf, actor, (parameters) => {
        const mean = tf.sigmoid(actor.forward(tf, input, parameters));
        const log = tf.clipByValue(
          tf.add(tf.mul(tf.squaredDifference(sample, mean), -0.5 / sigma ** 2), constant),
          -LARGEST_LOG_RATIO,
          LARGEST_LOG_RATIO,
        );
        logRatio = log.dataSync() as Float32Array;
        return tf.neg(tf.mean(this.objective(tf.exp(log), weight)));
      });
      actorOptimiser.step(gradients);
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
    const rewards = this.replay.state().map(({ outcome }) => finiteReward(reward, outcome));
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
        network.forward(tf, tf.tensor2d(criticRows(states, actions), [states.length, this.observationSize + 1])).dataSync() as Float32Array,
    );
  }

  /** Regression of μ_θ to the given decisions, before the first action. */
  private fitActor(decisions: readonly InitialDecision[]): void {
    const { tf } = this.backend;
    const { actor } = this.networks;
    const optimiser = new Adam(actor.parameters, 1e-2);
    const n = decisions.length;
    const input = decisions.flatMap(({ step }) => {
      checkObservation(step.observation, this.observationSize);
      return [...step.observation];
    });
    // The sigmoid reaches neither 0 nor 1, and has no slope left where it comes close.
    const wanted = decisions.map(({ step, action }) => clip(toFraction(action, step.bounds), 0.02, 0.98));
    for (let i = 0; i < 1000; i++) {
      const { value, gradients } = valueAndGradients(tf, actor, (parameters) => {
        const mean = tf.sigmoid(actor.forward(tf, tf.tensor2d(input, [n, this.observationSize]) as Tensor2D, parameters));
        return tf.mean(tf.squaredDifference(mean, tf.tensor2d(wanted, [n, 1])));
      });
      if (value < 1e-5) return;
      optimiser.step(gradients);
    }
  }

  state(): AgentState {
    return {
      algorithm: 'ppo',
      backend: this.backend.name,
      ...this.networks.state(),
      replay: this.replay.state(),
      random: this.random.state(),
      previousCount: this.previousCount,
      currentCount: this.currentCount,
      episodes: this.episodes,
      endedNow: this.endedNow,
      seen: this.seen,
      rewardScale: this.rewardScale,
      best: this.best.state(),
    };
  }

  /** @throws UserError when the state was written by another algorithm, tensor backend or shape of network. */
  restore(state: AgentState): void {
    checkAlgorithm(state, 'ppo');
    const saved = state as unknown as PpoState;
    if (saved.backend !== this.backend.name) {
      throw new UserError(
        `The checkpoint was written on ${saved.backend}, and this agent runs on ${this.backend.name}; the results would not be the same.`,
        'Resume with the same tensor backend, or start a new run.',
      );
    }
    this.networks.restore(saved);
    this.replay.restore(saved.replay);
    this.random = new Random(saved.random);
    this.previousCount = saved.previousCount;
    this.currentCount = saved.currentCount;
    this.episodes = saved.episodes;
    this.endedNow = saved.endedNow;
    this.seen = saved.seen;
    this.rewardScale = saved.rewardScale;
    this.best.restore(saved.best);
  }

  dispose(): void {
    // Nothing to free: parameters are plain arrays, and every tensor ends with the `tidy` it was made in.
  }
}

interface PpoState extends ActorCriticState {
  readonly backend: string;
  readonly replay: readonly Transition[];
  readonly random: readonly number[];
  readonly previousCount: number;
  readonly currentCount: number;
  readonly episodes: number;
  readonly endedNow: number;
  readonly seen: number;
  readonly rewardScale?: RewardScale;
  readonly best: AgentState;
}

interface RewardScale {
  readonly mean: number;
  readonly deviation: number;
}

/** False where the bounds leave a single action. */
function isFree({ low, high }: ActionBounds): boolean {
  return high > low;
}
