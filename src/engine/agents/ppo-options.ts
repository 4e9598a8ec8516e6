/** What can be set of compute-constrained PPO (`ppo.ts`): the method's own parts, and the improvements for short searches. */
import type { NoiseSchedule } from './exploration';
import type { InitialPolicy } from './initial-policy';
import type { Neighbourhood } from './neighbours';
import type { Task } from './scaled-policy';

export interface PolicyTransfer {
  readonly tasks: readonly Task[];
  /** The largest action of each step. */
  readonly highest: readonly number[];
}

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
  /** Improvement, off by default (0): share of the episodes that explore around the best policy so far instead of around μ_θ. */
  readonly aroundBest: number;
  /** Improvement, off by default (1): share of an episode's actions that get all of the noise, the others a tenth of it: of many actions at once, some changes nearly always do harm. */
  readonly changedShare: number;
  /**
   * Improvement, off by default: σ and `changedShare` double with every episode that only repeats what was acted out before, until one is new, and
   * the critic chooses no longer from the second on. With `aroundBest` alone.
   */
  readonly widenRepeats: boolean;
  /**
   * Improvement, off by default: episodes around the best policy try a whole policy near it, of several the one whose mean Q is highest, instead of
   * changing each action by itself.
   */
  readonly neighbourhood: Neighbourhood | undefined;
  /**
   * How many numbers at the end of an observation say which of several tasks the episode has: each task has a best policy of its own.
   * Default 0: there is one task.
   */
  readonly taskNumbers: number;
  /** Improvement, off by default: what becomes the best policy of a task is scaled to the budgets of these, whose next episodes try it. */
  readonly transfer: PolicyTransfer | undefined;
  /** Improvement, off by default: policies (for example uniform ones) to which the actor is fitted by regression before it acts. Start with less noise then. */
  readonly initialPolicies: readonly InitialPolicy[];
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
  aroundBest: 0,
  changedShare: 1,
  widenRepeats: false,
  neighbourhood: undefined,
  taskNumbers: 0,
  transfer: undefined,
  initialPolicies: [],
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
