/**
 * One PPO update in plain float64 TypeScript, written from docs/methods.md and not from the agent: gradients by central differences, no tensor library.
 * Reads the plain data of `PpoAgent.state()` before an update and says what the networks and Adam's moments are after it.
 */
import { Random } from '../../random';
import type { AgentState, RewardFunction, Transition } from '../agent';
import { decodeFloats } from '../float-codec';

type Network = number[][]; // kernel 1, bias 1, kernel 2, bias 2

interface Moments {
  mean: Network;
  square: Network;
  steps: number;
}

export interface HandUpdate {
  readonly actor: Network;
  readonly critic: Network;
  readonly targetActor: Network;
  readonly targetCritic: Network;
  /** ∇ of the two losses. */
  readonly actorGradient: Network;
  readonly criticGradient: Network;
  readonly criticLoss: number;
  readonly actorLoss: number;
}

/**
 * @param before the agent's state before `transition` is observed
 * @param sigma σ of π as a fraction of the range
 * Defaults of the method: γ 0.99, c 0.2, σ̃ 0.2, c̃ 0.5, τ 0.005, learning rates 1e-4 and 1e-3, minibatch 64.
 */
export function ppoUpdateByHand(
  before: AgentState,
  transition: Transition,
  reward: RewardFunction,
  inputs: number,
  sigma: number,
): HandUpdate {
  const state = before as unknown as {
    actor: string[];
    critic: string[];
    targetActor: string[];
    targetCritic: string[];
    actorOptimiser: { mean: string[]; square: string[]; steps: number };
    criticOptimiser: { mean: string[]; square: string[]; steps: number };
    replay: Transition[];
    random: number[];
    previousCount: number;
    currentCount: number;
  };
  const hidden = 64;
  const decode = (encoded: readonly string[], size: number): Network => {
    const lengths = [size * hidden, hidden, hidden, 1];
    return encoded.map((text, i) => [...decodeFloats(text, lengths[i])]);
  };
  const moments = (saved: { mean: string[]; square: string[]; steps: number }, size: number): Moments => ({
    mean: decode(saved.mean, size),
    square: decode(saved.square, size),
    steps: saved.steps,
  });
  const actor = decode(state.actor, inputs);
  const critic = decode(state.critic, inputs + 1);
  const targetActor = decode(state.targetActor, inputs);
  const targetCritic = decode(state.targetCritic, inputs + 1);
  const random = new Random(state.random);
  const replay = [...state.replay, transition];
  const recent = replay.slice(-(state.previousCount + state.currentCount + 1));

  const output = ([k1, b1, k2, b2]: Network, x: readonly number[]): number => {
    let sum = b2[0];
    for (let j = 0; j < hidden; j++) {
      let h = b1[j];
      for (let i = 0; i < x.length; i++) h += x[i] * k1[i * hidden + j];
      if (h > 0) sum += h * k2[j];
    }
    return sum;
  };
  const mu = (network: Network, s: readonly number[]) => 1 / (1 + Math.exp(-output(network, s)));
  const cut = (x: number, low: number, high: number) => Math.max(low, Math.min(high, x));
  const average = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;

  // Critic
  const batch = Array.from({ length: 64 }, () => replay[random.below(replay.length)]);
  const noise = batch.map(() => cut(0.2 * random.normal(), -0.5, 0.5));
  const y = batch.map((t, i) => {
    if (!t.next) return reward(t.outcome);
    const { observation, bounds } = t.next;
    const u = cut(mu(targetActor, observation) + noise[i], 0, 1);
    const a = bounds.low + u * (bounds.high - bounds.low);
    return reward(t.outcome) + 0.99 * output(targetCritic, [...observation, a]);
  });
  const criticLoss = (network: Network) => average(batch.map((t, i) => (y[i] - output(network, [...t.observation, t.action])) ** 2));
  const criticLossBefore = criticLoss(critic);
  const criticGradient = numericGradient(critic, criticLoss);
  const newCritic = adam(critic, criticGradient, moments(state.criticOptimiser, inputs + 1), 1e-3);

  // Actor, with Q of the critic as it is now
  const played = Array.from({ length: 64 }, () => recent[random.below(recent.length)]);
  const q = played.map((t) => output(newCritic, [...t.observation, t.action]));
  const centre = average(q);
  const scale = Math.sqrt(average(q.map((value) => (value - centre) ** 2)));
  const actorLoss = (network: Network) =>
    -average(
      played.map((t, i) => {
        const { low, high } = t.bounds;
        if (low === high) return 0;
        const u = (t.sample - low) / (high - low);
        const z = (u - mu(network, t.observation)) / sigma;
        const ratio = Math.exp(-0.5 * z * z - Math.log(sigma * Math.sqrt(2 * Math.PI)) - t.logProbability);
        const weight = (q[i] - centre) / scale;
        return Math.min(ratio * weight, cut(ratio, 0.8, 1.2) * weight);
      }),
    );
  const actorLossBefore = actorLoss(actor);
  const actorGradient = numericGradient(actor, actorLoss);
  const newActor = adam(actor, actorGradient, moments(state.actorOptimiser, inputs), 1e-4);

  const follow = (target: Network, source: Network) => target.map((values, i) => values.map((v, j) => 0.995 * v + 0.005 * source[i][j]));
  return {
    actor: newActor,
    critic: newCritic,
    targetActor: follow(targetActor, newActor),
    targetCritic: follow(targetCritic, newCritic),
    actorGradient,
    criticGradient,
    criticLoss: criticLossBefore,
    actorLoss: actorLossBefore,
  };
}

function numericGradient(network: Network, loss: (network: Network) => number): Network {
  const h = 1e-6;
  return network.map((values) =>
    values.map((value, j) => {
      values[j] = value + h;
      const up = loss(network);
      values[j] = value - h;
      const down = loss(network);
      values[j] = value;
      return (up - down) / (2 * h);
    }),
  );
}

function adam(network: Network, gradient: Network, { mean, square, steps }: Moments, rate: number): Network {
  const t = steps + 1;
  return network.map((values, i) =>
    values.map((value, j) => {
      const g = gradient[i][j];
      const m = (0.9 * mean[i][j] + 0.1 * g) / (1 - 0.9 ** t);
      const v = (0.999 * square[i][j] + 0.001 * g * g) / (1 - 0.999 ** t);
      return value - (rate * m) / (Math.sqrt(v) + 1e-8);
    }),
  );
}
