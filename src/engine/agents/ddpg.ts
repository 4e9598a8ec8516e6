/**
 * DDPG as AMC uses it (He et al. 2018, "AMC: AutoML for Model Compression", section 3.3): an actor μ_θ(s) whose sigmoid is a fraction of the
 * step's range, a critic Q_φ(s, a), slow targets, truncated-normal exploration, and targets y = r − b + γ·Q' with b the moving average of rewards.
 */
import { Random } from '../random';
import { ActorCritic, type ActorCriticState, criticRows } from './actor-critic';
import type { Action, ActionBounds, Agent, AgentState, Observation, RewardFunction, Step, Transition, UpdateDiagnostics } from './agent';
import { checkAlgorithm, checkObservation, checkSizes, finiteReward } from './checks';
import { fromFraction, type NoiseSchedule, noiseAfter, truncatedNormal } from './exploration';
import { backward, forward, outputOf, packed, sigmoid } from './mlp-math';
import type { Mlp } from './networks';
import { NO_FIGURES } from './no-figures';
import { Replay, stepAfter } from './replay';
import { average, explainedVariance, movedAverage } from './statistics';

export interface DdpgOptions {
  /** Discount γ. */
  readonly gamma: number;
  readonly actorLearningRate: number;
  readonly criticLearningRate: number;
  /** Units in each of the two hidden layers of both networks. */
  readonly hidden: number;
  /** σ of the truncated normal, as a fraction of the range; it decays from the end of the warm-up on. */
  readonly noise: NoiseSchedule;
  /** Episodes of uniform actions before the first update. */
  readonly warmUp: number;
  readonly minibatch: number;
  readonly replayCapacity: number;
  /** Step τ of the slow targets. */
  readonly tau: number;
  /** Weight of the newest minibatch's mean reward in the baseline b; 0: no baseline. */
  readonly baselineRate: number;
  /** Minibatches for each transition. */
  readonly updatesPerStep: number;
}

export const DDPG_DEFAULTS: DdpgOptions = {
  gamma: 1,
  actorLearningRate: 1e-4,
  criticLearningRate: 1e-3,
  hidden: 300,
  noise: { start: 0.5, decay: 0.95, floor: 0 },
  warmUp: 100,
  minibatch: 64,
  replayCapacity: 2000,
  tau: 0.01,
  baselineRate: 0.5,
  updatesPerStep: 1,
};

export class DdpgAgent implements Agent {
  readonly options: DdpgOptions;
  private readonly networks: ActorCritic;
  private readonly replay: Replay;
  private random: Random;
  /** Episodes ended in earlier rounds, and transitions of this one. */
  private episodes = 0;
  private seenNow = 0;
  /** b; undefined until the first minibatch. */
  private baseline: number | undefined;

  /** @param steps of an episode: an episode has ended when so many transitions of one actor were seen */
  constructor(
    private readonly observationSize: number,
    private readonly steps: number,
    random: Random,
    options: Partial<DdpgOptions> = {},
  ) {
    this.options = { ...DDPG_DEFAULTS, ...options };
    const { hidden, replayCapacity } = this.options;
    this.random = random.fork('samples');
    this.networks = new ActorCritic({ ...this.options, observationSize, hidden: [hidden, hidden] }, random);
    this.replay = new Replay(replayCapacity);
  }

  private get warmingUp(): boolean {
    return this.episodes < this.options.warmUp;
  }

  /** σ now, as a fraction of the range. */
  get sigma(): number {
    return noiseAfter(this.options.noise, Math.max(0, this.episodes - this.options.warmUp));
  }

  act({ observation, bounds }: Step, { deterministic = false } = {}): Action {
    checkObservation(observation, this.observationSize);
    const fraction = (): number => {
      if (!deterministic && this.warmingUp) return this.random.uniform();
      const [mean] = this.means(this.networks.actor, [observation]);
      return deterministic ? mean : truncatedNormal(this.random, mean, this.sigma, 0, 1);
    };
    return { value: fromFraction(fraction(), bounds), logProbability: 0 };
  }

  /** @throws UserError when the reward or the observation is not a finite number. */
  observe(transition: Transition, reward: RewardFunction): UpdateDiagnostics | undefined {
    checkObservation(transition.observation, this.observationSize);
    finiteReward(reward, transition.outcome);
    this.replay.push(transition);
    this.seenNow++;
    let diagnostics: UpdateDiagnostics | undefined;
    if (!this.warmingUp) for (let i = 0; i < this.options.updatesPerStep; i++) diagnostics = this.update(reward);
    return diagnostics;
  }

  endRound(): UpdateDiagnostics | undefined {
    this.episodes += Math.floor(this.seenNow / this.steps);
    this.seenNow = 0;
    return undefined;
  }

  private update(reward: RewardFunction): UpdateDiagnostics {
    const { minibatch, tau } = this.options;
    const batch = this.replay.sample(minibatch, this.random);
    const critic = this.updateCritic(batch, reward);
    const actorLoss = this.updateActor(batch);
    this.networks.moveTargets(tau);
    return { ...NO_FIGURES, ...critic, actorLoss };
  }

  private updateCritic(
    batch: readonly Transition[],
    reward: RewardFunction,
  ): Pick<UpdateDiagnostics, 'criticLoss' | 'explainedVariance' | 'qMean'> {
    const { gamma, baselineRate } = this.options;
    const { critic, criticOptimiser, targetActor, targetCritic } = this.networks;
    const n = batch.length;
    const rewards = batch.map((t) => finiteReward(reward, t.outcome));
    this.baseline = movedAverage(this.baseline, average(rewards), baselineRate);
    const b = baselineRate > 0 ? this.baseline : 0;

    // y = r − b + γ·(1 − done)·Q_φ'(s', μ_θ'(s'))
    const next = batch.map(stepAfter);
    const nextStates = next.map((step) => step.observation);
    const nextMeans = this.means(targetActor, nextStates);
    const nextQ = this.q(targetCritic, nextStates, actionsAt(nextMeans, next));
    const y = batch.map((t, i) => rewards[i] - b + (t.done ? 0 : gamma * nextQ[i]));

    const activations = forward(
      critic,
      this.criticInput(
        batch.map((t) => t.observation),
        batch.map((t) => t.action),
      ),
      n,
    );
    const q = outputOf(activations);
    const gradient = Float32Array.from(q, (value, i) => (2 * (value - y[i])) / n);
    criticOptimiser.step(backward(critic, activations, gradient, n).parameters);
    const errors = y.map((target, i) => target - q[i]);
    return {
      criticLoss: average(errors.map((e) => e * e)),
      explainedVariance: explainedVariance(y, errors),
      qMean: average(Array.from(q)),
    };
  }

  /** One step up the gradient of mean Q_φ(s, μ_θ(s)). @returns the loss, −mean Q */
  private updateActor(batch: readonly Transition[]): number {
    const { actor, actorOptimiser, critic } = this.networks;
    const n = batch.length;
    const states = batch.map((t) => t.observation);
    const activations = forward(actor, packed(states, this.observationSize), n);
    const means = Array.from(outputOf(activations), sigmoid);
    const judged = forward(critic, this.criticInput(states, actionsAt(means, batch)), n);
    const { input } = backward(critic, judged, new Float32Array(n).fill(-1 / n), n, { inputOnly: true });
    // dQ/da · da/dμ · the sigmoid's slope; where the bounds leave one action nothing flows.
    const width = this.observationSize + 1;
    const gradient = Float32Array.from(
      means,
      (u, i) => input[i * width + width - 1] * (batch[i].bounds.high - batch[i].bounds.low) * u * (1 - u),
    );
    actorOptimiser.step(backward(actor, activations, gradient, n).parameters);
    return -average(Array.from(outputOf(judged)));
  }

  /** μ(s) as a fraction of the range, for each state. */
  private means(network: Mlp, states: readonly Observation[]): number[] {
    return Array.from(outputOf(forward(network, packed(states, this.observationSize), states.length)), sigmoid);
  }

  private q(network: Mlp, states: readonly Observation[], actions: readonly number[]): Float32Array {
    return outputOf(forward(network, this.criticInput(states, actions), states.length));
  }

  private criticInput(states: readonly Observation[], actions: readonly number[]): Float32Array {
    return packed(criticRows(states, actions), this.observationSize + 1);
  }

  state(): AgentState {
    return {
      algorithm: 'ddpg',
      sizes: this.networks.critic.sizes,
      ...this.networks.state(),
      replay: this.replay.state(),
      random: this.random.state(),
      episodes: this.episodes,
      seenNow: this.seenNow,
      baseline: this.baseline,
    };
  }

  /** @throws UserError when the state was written by another algorithm or for another shape of network. */
  restore(state: AgentState): void {
    checkAlgorithm(state, 'ddpg');
    const saved = state as unknown as DdpgState;
    checkSizes(saved.sizes, this.networks.critic.sizes);
    this.networks.restore(saved);
    this.replay.restore(saved.replay);
    this.random = new Random(saved.random);
    this.episodes = saved.episodes;
    this.seenNow = saved.seenNow;
    this.baseline = saved.baseline;
  }

  dispose(): void {
    // Nothing to free: parameters are plain arrays.
  }
}

interface DdpgState extends ActorCriticState {
  readonly sizes: readonly number[];
  readonly replay: readonly Transition[];
  readonly random: readonly number[];
  readonly episodes: number;
  readonly seenNow: number;
  readonly baseline: number | undefined;
}

const actionsAt = (fractions: readonly number[], steps: ReadonlyArray<{ readonly bounds: ActionBounds }>): number[] =>
  fractions.map((u, i) => fromFraction(u, steps[i].bounds));
