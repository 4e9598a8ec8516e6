/** The networks of an agent with an actor μ_θ(s) and a critic Q_φ(s, a): both, their slow targets and their optimisers. */
import type { Random } from '../random';
import type { Observation } from './agent';
import { Adam, type AdamState, Mlp } from './networks';

export interface ActorCriticOptions {
  readonly observationSize: number;
  /** Units of the hidden layers of each network. */
  readonly hidden: readonly number[];
  readonly actorLearningRate: number;
  readonly criticLearningRate: number;
}

/** In the agent's checkpoint, beside what else it holds. */
export interface ActorCriticState {
  readonly actor: readonly string[];
  readonly critic: readonly string[];
  readonly targetActor: readonly string[];
  readonly targetCritic: readonly string[];
  readonly actorOptimiser: AdamState;
  readonly criticOptimiser: AdamState;
}

export class ActorCritic {
  /** μ_θ: observation → a score whose sigmoid is a fraction of the step's range. */
  readonly actor: Mlp;
  /** Q_φ: observation and action → value. */
  readonly critic: Mlp;
  /** θ′ and φ′, which start equal to θ and φ. */
  readonly targetActor: Mlp;
  readonly targetCritic: Mlp;
  readonly actorOptimiser: Adam;
  readonly criticOptimiser: Adam;

  constructor({ observationSize, hidden, actorLearningRate, criticLearningRate }: ActorCriticOptions, random: Random) {
    this.actor = new Mlp([observationSize, ...hidden, 1], random.fork('actor'), { outputScale: 3e-3 });
    this.critic = new Mlp([observationSize + 1, ...hidden, 1], random.fork('critic'), { outputScale: 3e-3 });
    this.targetActor = this.actor.copy();
    this.targetCritic = this.critic.copy();
    this.actorOptimiser = new Adam(this.actor.parameters, actorLearningRate);
    this.criticOptimiser = new Adam(this.critic.parameters, criticLearningRate);
  }

  /** θ′ and φ′ move by τ towards θ and φ; 1 makes them equal. */
  moveTargets(tau: number): void {
    this.targetActor.moveTowards(this.actor, tau);
    this.targetCritic.moveTowards(this.critic, tau);
  }

  state(): ActorCriticState {
    return {
      actor: this.actor.state(),
      critic: this.critic.state(),
      targetActor: this.targetActor.state(),
      targetCritic: this.targetCritic.state(),
      actorOptimiser: this.actorOptimiser.state(),
      criticOptimiser: this.criticOptimiser.state(),
    };
  }

  restore(saved: ActorCriticState): void {
    this.actor.restore(saved.actor);
    this.critic.restore(saved.critic);
    this.targetActor.restore(saved.targetActor);
    this.targetCritic.restore(saved.targetCritic);
    this.actorOptimiser.restore(saved.actorOptimiser);
    this.criticOptimiser.restore(saved.criticOptimiser);
  }
}

/** What the critic reads, [s, a] in each row. */
export const criticRows = (states: readonly Observation[], actions: readonly number[]): number[][] =>
  states.map((state, i) => [...state, actions[i]]);
