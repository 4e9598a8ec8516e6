import { describe, expect, test } from 'vitest';
import { UserError } from '../errors';
import { Random } from '../random';
import type { AgentState, Outcome } from './agent';
import { toFraction } from './exploration';
import { decodeFloats } from './float-codec';
import { PpoAgent } from './ppo';
import type { PpoOptions } from './ppo-options';
import { average } from './statistics';
import { loadTensorBackend } from './tensor-backend';
import { describeAgent } from './testing/conformance';
import { BudgetChain, IdentityBandit } from './testing/known-answer';
import { ppoUpdateByHand } from './testing/ppo-by-hand';
import { runEpisode } from './testing/rollout';
import { playUpToAnUpdate } from './testing/update-scenario';

const backend = await loadTensorBackend('js');

describeAgent('PPO, plain', (environment, random) => new PpoAgent(backend, environment.observationSize, random), { learns: false });

const numbers = (encoded: unknown): number[] =>
  (encoded as string[]).flatMap((text) => [...decodeFloats(text, Buffer.from(text, 'base64').length / 4)]);

const largestDifference = (a: readonly number[], b: readonly number[]): number => {
  expect(a.length).toBe(b.length);
  return a.reduce((largest, value, i) => Math.max(largest, Math.abs(value - b[i])), 0);
};

describe('one update', () => {
  test('equals the method computed by hand in float64, gradients by finite differences', async () => {
    const { before, transition, after, diagnostics, sigma, observationSize, environment } = await playUpToAnUpdate(backend);
    const hand = ppoUpdateByHand(before, transition, environment.reward, observationSize, sigma);
    for (const network of ['actor', 'critic', 'targetActor', 'targetCritic'] as const) {
      expect(largestDifference(numbers(after[network]), hand[network].flat()), network).toBeLessThan(1e-5);
      expect(largestDifference(numbers(after[network]), numbers(before[network])), `${network} moved`).toBeGreaterThan(1e-6);
    }
    // Adam's first moment tells the gradient: m = 0.9·m_before + 0.1·g.
    const gradient = (optimiser: 'actorOptimiser' | 'criticOptimiser'): number[] => {
      const old = numbers((before[optimiser] as AgentState)['mean']);
      return numbers((after[optimiser] as AgentState)['mean']).map((m, i) => (m - 0.9 * old[i]) / 0.1);
    };
    const scale = (values: readonly number[]) => Math.max(1, ...values.map(Math.abs));
    const criticGradient = hand.criticGradient.flat();
    expect(largestDifference(gradient('criticOptimiser'), criticGradient) / scale(criticGradient)).toBeLessThan(1e-5);
    const actorGradient = hand.actorGradient.flat();
    expect(largestDifference(gradient('actorOptimiser'), actorGradient) / scale(actorGradient)).toBeLessThan(1e-5);
    expect(Math.abs(diagnostics.criticLoss - hand.criticLoss)).toBeLessThan(1e-5);
    expect(Math.abs(diagnostics.actorLoss - hand.actorLoss)).toBeLessThan(1e-5);
  });

  test('leaves no tensors behind', async () => {
    const environment = new IdentityBandit(new Random(1));
    const agent = new PpoAgent(backend, environment.observationSize, new Random(2), {
      learningStarts: 1,
      criticScreening: 4,
      screeningStarts: 2,
    });
    const before = backend.tf.memory().numTensors;
    await runEpisode(agent, environment, environment.reward);
    expect(backend.tf.memory().numTensors).toBe(before);
  });

  test('reports finite diagnostics in their ranges', async () => {
    const { diagnostics } = await playUpToAnUpdate(backend);
    for (const value of Object.values(diagnostics)) expect(Number.isFinite(value)).toBe(true);
    expect(diagnostics.approxKl).toBeGreaterThanOrEqual(0);
    expect(diagnostics.clipFraction).toBeGreaterThanOrEqual(0);
    expect(diagnostics.clipFraction).toBeLessThanOrEqual(1);
    expect(diagnostics.explainedVariance).toBeLessThanOrEqual(1);
  });
});

describe('each of the four parts, and each improvement, changes what is learned', () => {
  const play = async (options: Partial<PpoOptions>, episodes = 6) => {
    const environment = new BudgetChain(new Random(3));
    const agent = new PpoAgent(backend, environment.observationSize, new Random(4), {
      learningStarts: 8,
      actorLearningRate: 1e-2,
      noise: { start: 0.5, decay: 0.8, floor: 0.01 },
      ...options,
    });
    for (let episode = 0; episode < episodes; episode++) await runEpisode(agent, environment, environment.reward);
    return JSON.stringify([agent.state()['actor'], agent.state()['critic']]);
  };

  test.each<Partial<PpoOptions>>([
    { clip: false },
    { slowTargets: false },
    { targetNoise: false },
    { perStepUpdates: false },
    { normalizeQ: false },
    { stateBaseline: true },
    { normalizeRewards: true },
    { resampleActions: true },
    { returnSteps: 3 },
    { updatesPerStep: 2 },
    { warmUp: 24 },
    { criticScreening: 4, screeningStarts: 16 },
    { aroundBest: 0.5, changedShare: 0.5 },
  ])('%o', async (options) => {
    const changed = await play(options);
    expect(changed).not.toBe(await play({}));
    expect(changed).toBe(await play(options));
  });

  test('without per-step updates the networks rest until the round ends', async () => {
    const environment = new IdentityBandit(new Random(3));
    const agent = new PpoAgent(backend, environment.observationSize, new Random(4), { perStepUpdates: false, learningStarts: 1 });
    const weights = JSON.stringify(agent.state()['critic']);
    const step = await environment.reset();
    const { value, logProbability } = agent.act(step);
    const { executed, outcome, next, done } = await environment.step(value);
    const transition = { ...step, action: executed, sample: value, logProbability, outcome, next, done, actor: 0 };
    expect(agent.observe(transition, environment.reward)).toBeUndefined();
    expect(JSON.stringify(agent.state()['critic'])).toBe(weights);
    expect(agent.endRound(environment.reward)).toBeDefined();
    expect(JSON.stringify(agent.state()['critic'])).not.toBe(weights);
  });
});

describe('the options that help', () => {
  test('an initial policy is what the agent starts from', async () => {
    const environment = new IdentityBandit(new Random(5));
    const initialPolicy = [];
    let step = await environment.reset();
    for (const action of environment.answer) {
      initialPolicy.push({ step, action });
      const { next } = await environment.step(action);
      if (next) step = next;
    }
    const agent = new PpoAgent(backend, environment.observationSize, new Random(6), { initialPolicies: [{ decisions: initialPolicy }] });
    for (const decision of initialPolicy) {
      expect(Math.abs(agent.act(decision.step, { deterministic: true }).value - decision.action)).toBeLessThan(0.03);
    }
  });

  test('σ falls by 0.95 with each ended episode, down to its floor, and rests during the warm-up', async () => {
    const environment = new IdentityBandit(new Random(1), 2);
    const agent = new PpoAgent(backend, 4, new Random(2), {
      noise: { start: 0.5, decay: 0.95, floor: 0.4 },
      warmUp: 4,
      learningStarts: 1000,
    });
    const sigmas: number[] = [];
    for (let episode = 0; episode < 8; episode++) {
      await runEpisode(agent, environment, environment.reward);
      sigmas.push(agent.sigma);
    }
    const expected = [0.5, 0.475, 0.45125, 0.4286875, 0.407253125, 0.4, 0.4, 0.4];
    sigmas.forEach((sigma, i) => {
      expect(sigma).toBeCloseTo(expected[i], 10);
    });
  });
});

describe('what it refuses', () => {
  const step = { observation: [0, 0, 0, 0], bounds: { low: 0, high: 1 } };

  test('a reward that is not a number', () => {
    const agent = new PpoAgent(backend, 4, new Random(1), { learningStarts: 1 });
    const { value, logProbability } = agent.act(step);
    const outcome = { accuracy: 0.5, flops: 7, measures: {} };
    const transition = { ...step, action: 0.5, sample: value, logProbability, outcome, next: undefined, done: true, actor: 0 };
    expect(() => agent.observe(transition, () => Number.NaN)).toThrow(UserError);
    expect(() => agent.observe(transition, () => Number.NaN)).toThrow('The reward is NaN for an accuracy of 0.5');
  });

  test('an observation of another length, or with NaN', () => {
    const agent = new PpoAgent(backend, 4, new Random(1));
    expect(() => agent.act({ ...step, observation: [0, 0] })).toThrow('expects observations of 4 finite numbers and got [0, 0]');
    expect(() => agent.act({ ...step, observation: [0, 0, 0, Number.NaN] })).toThrow(UserError);
  });

  test('a checkpoint of another algorithm, backend or shape', () => {
    const agent = new PpoAgent(backend, 4, new Random(1));
    const state = agent.state();
    expect(() => agent.restore({ ...state, algorithm: 'ddpg' })).toThrow('written by the agent "ddpg"');
    expect(() => agent.restore({ ...state, backend: 'another' })).toThrow('was written on another');
    const other = new PpoAgent(backend, 5, new Random(1));
    expect(() => other.restore(state)).toThrow('holds 256 numbers where this agent has 320');
  });

  test('where the bounds leave one action, the action is taken and nothing breaks', () => {
    const agent = new PpoAgent(backend, 4, new Random(1), { learningStarts: 1 });
    const forced = { observation: [0, 0, 0, 0], bounds: { low: 0.3, high: 0.3 } };
    const action = agent.act(forced);
    expect(action.value).toBeCloseTo(0.3, 12);
    const outcome = { accuracy: 0.5, flops: 7, measures: {} };
    const diagnostics = agent.observe(
      {
        ...forced,
        action: 0.3,
        sample: action.value,
        logProbability: action.logProbability,
        outcome,
        next: undefined,
        done: true,
        actor: 0,
      },
      (o) => o.accuracy,
    );
    expect(Number.isFinite(diagnostics?.actorLoss)).toBe(true);
    expect(numbers(agent.state()['actor']).every(Number.isFinite)).toBe(true);
  });
});

const scored = (accuracy: number): Outcome => ({ accuracy, flops: 1, measures: {} });

test('explores around the best policy so far where it is told to, each action of its own step', async () => {
  const environment = new BudgetChain(new Random(4));
  const { observationSize } = environment;
  const step = await environment.reset();
  const initialPolicy = [{ step, action: step.bounds.low + 0.7 * (step.bounds.high - step.bounds.low) }];
  const outcome = { accuracy: 0.9, flops: 1, params: 1, bytes: 1, sparsity: 0, channels: 1 };
  const options = {
    noise: { start: 0.2, decay: 1, floor: 0.2 },
    aroundBest: 1,
    changedShare: 0,
  };
  const initialPolicies = [{ decisions: initialPolicy, outcome: outcome as unknown as Outcome }];
  const agent = new PpoAgent(backend, observationSize, new Random(5), { ...options, initialPolicies });
  const fractions = Array.from({ length: 200 }, (_, actor) => toFraction(agent.act(step, { actor }).value, step.bounds));
  // A tenth of σ = 0.2: the mean of 200 draws is off by less than 4·0.02/√200, a draw by less than 5·0.02.
  expect(Math.abs(average(fractions) - 0.7)).toBeLessThan(0.0057);
  for (const u of fractions) expect(Math.abs(u - 0.7)).toBeLessThan(0.1);
});

test('what becomes the best policy of one task is scaled to the budgets of the others, whose next episodes try it', () => {
  const bounds = { low: 0, high: 0.9 };
  const steps = 3;
  // What may stay of three layers of one size.
  const task = (share: number) => ({
    name: String(share),
    relativeCost: (actions: readonly number[]): number => actions.reduce((sum, a) => sum + 1 - a, 0) / (steps * share),
  });
  const agent = new PpoAgent(backend, 2, new Random(6), {
    taskNumbers: 1,
    transfer: { tasks: [task(0.5), task(0.75)], highest: [0.9, 0.9, 0.9] },
  });
  const episode = (share: number, accuracy: number, of = agent): number[] =>
    Array.from({ length: steps }, (_, i) => {
      const observation = [i / steps, share];
      const { value: sample, logProbability } = of.act({ observation, bounds });
      const action = Math.min(0.9, Math.max(0, sample));
      const done = i === steps - 1;
      const transition = { observation, bounds, action, sample, logProbability, outcome: scored(accuracy), next: undefined, actor: 0 };
      of.observe({ ...transition, done: true, ended: done }, (o) => o.accuracy);
      return action;
    });
  const first = episode(0.5, 0.6);
  const factor = (steps * 0.25) / first.reduce((a, b) => a + b);
  const tried = episode(0.75, 0.8);
  for (const [i, a] of tried.entries()) expect(a).toBeCloseTo(factor * first[i], 5);
  // Tried once; and what was proposed is not proposed back.
  expect(episode(0.75, 0.1)).not.toEqual(tried);
  const restored = new PpoAgent(backend, 2, new Random(7), agent.options);
  restored.restore(JSON.parse(JSON.stringify(agent.state())));
  const [one, other] = [episode(0.5, 0.1), episode(0.5, 0.1, restored)];
  expect(one).toEqual(other);
  for (const [i, a] of one.entries()) expect(Math.abs(a - first[i])).toBeGreaterThan(1e-6);
});

test('among few widths, widening finds policies that small changes never round to', () => {
  const bounds = { low: 0, high: 1 };
  // Two steps, each 0, ½ or 1; the best known is in the middle, where a tenth of the range rounds to nothing.
  const distinct = (widenRepeats: boolean): number => {
    const step = { observation: [0, 0], bounds };
    const initialPolicies = [{ decisions: [0, 1].map(() => ({ step, action: 0.5 })), outcome: scored(0.9) }];
    const noise = { start: 0.05, decay: 1, floor: 0.05 };
    const agent = new PpoAgent(backend, 2, new Random(8), { aroundBest: 1, changedShare: 0.5, noise, widenRepeats, initialPolicies });
    const policies = new Set<string>();
    for (let episode = 0; episode < 60; episode++) {
      const actions = [0, 1].map((i) => {
        const { value: sample, logProbability } = agent.act({ observation: [i, 0], bounds });
        const action = Math.min(1, Math.max(0, Math.round(2 * sample) / 2));
        const transition = { observation: [i, 0], bounds, action, sample, logProbability, outcome: scored(0.5), next: undefined, actor: 0 };
        agent.observe({ ...transition, done: true, ended: i === 1 }, (o) => o.accuracy);
        return action;
      });
      policies.add(actions.join());
    }
    return policies.size;
  };
  expect(distinct(false)).toBe(1);
  expect(distinct(true)).toBe(9);
});
