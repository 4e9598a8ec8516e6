import { describe, expect, test } from 'vitest';
import { UserError } from '../errors';
import { Random } from '../random';
import type { Transition } from './agent';
import { DdpgAgent, type DdpgOptions } from './ddpg';
import { describeAgent } from './testing/conformance';
import { BudgetChain, IdentityBandit } from './testing/known-answer';
import { runEpisode } from './testing/rollout';

/** Networks and rates for searches of 100 to 200 short episodes. */
const QUICK: Partial<DdpgOptions> = {
  hidden: 48,
  warmUp: 30,
  minibatch: 32,
  actorLearningRate: 1e-3,
  criticLearningRate: 5e-3,
  tau: 0.02,
  noise: { start: 0.5, decay: 0.97, floor: 0.05 },
};

describeAgent('DDPG, quick', (environment, random) => new DdpgAgent(environment.observationSize, environment.steps, random, QUICK));

describe('as in AMC', () => {
  const make = (options: Partial<DdpgOptions> = {}) => {
    const environment = new BudgetChain(new Random(1));
    return { environment, agent: new DdpgAgent(environment.observationSize, environment.steps, new Random(2), { hidden: 8, ...options }) };
  };

  test('the defaults are the paper’s', () => {
    expect(make({ hidden: 300 }).agent.options).toMatchObject({
      gamma: 1,
      hidden: 300,
      tau: 0.01,
      minibatch: 64,
      replayCapacity: 2000,
      warmUp: 100,
      noise: { start: 0.5, decay: 0.95 },
    });
  });

  test('nothing is learned in the warm-up; then σ falls by 0.95 an episode', async () => {
    const { environment, agent } = make({ warmUp: 3, noise: { start: 0.5, decay: 0.95, floor: 0 } });
    const untrained = agent.state()['actor'];
    for (let episode = 0; episode < 3; episode++) {
      expect((await runEpisode(agent, environment, environment.reward)).diagnostics).toEqual([]);
      expect(agent.sigma).toBe(0.5);
    }
    expect(agent.state()['actor']).toEqual(untrained);
    const { diagnostics } = await runEpisode(agent, environment, environment.reward);
    expect(diagnostics.length).toBe(environment.steps);
    expect(agent.sigma).toBeCloseTo(0.475, 12);
    expect(agent.state()['actor']).not.toEqual(untrained);
  });

  test('samples never leave the bounds, not even before the environment clips them', async () => {
    const { agent } = make({ warmUp: 0 });
    for (let i = 0; i < 200; i++) {
      const { value } = agent.act({ observation: [0, 0, 0.5, 0.5], bounds: { low: 0.2, high: 0.6 } });
      expect(value >= 0.2 && value <= 0.6).toBe(true);
    }
  });

  test('γ = 1 adds what is ahead: Q of the first of two equal rewards is twice that of the last', async () => {
    // Without a baseline and with reward 1 at both steps, Q(last) → 1 and Q(first) → 2.
    const agent = new DdpgAgent(1, 2, new Random(3), {
      hidden: 16,
      warmUp: 0,
      baselineRate: 0,
      tau: 0.2,
      minibatch: 16,
      criticLearningRate: 1e-2,
    });
    const bounds = { low: 0, high: 1 };
    const transition = (t: number, done: boolean): Transition => ({
      observation: [t],
      bounds,
      action: 0.5,
      sample: 0.5,
      logProbability: 0,
      outcome: { accuracy: 1, flops: 1, measures: {} },
      next: done ? undefined : { observation: [1], bounds },
      done,
      actor: 0,
    });
    let q = Number.NaN;
    for (let i = 0; i < 150; i++) {
      agent.observe(transition(0, false), (o) => o.accuracy);
      q = agent.observe(transition(1, true), (o) => o.accuracy)!.qMean;
    }
    expect(q).toBeGreaterThan(1.3);
    expect(q).toBeLessThan(1.7);
  });

  test('the baseline is taken off the rewards: Q stays near 0 where all are equal', async () => {
    const environment = new IdentityBandit(new Random(1));
    const agent = new DdpgAgent(4, environment.steps, new Random(2), { hidden: 16, warmUp: 0 });
    let last = Number.NaN;
    for (let i = 0; i < 15; i++) last = (await runEpisode(agent, environment, () => 7)).diagnostics.at(-1)!.qMean;
    expect(Math.abs(last)).toBeLessThan(0.1);
  });

  test('refuses rewards that are no numbers, and checkpoints of others', () => {
    const { agent } = make();
    const other = new DdpgAgent(5, 8, new Random(1), { hidden: 8 });
    expect(() => other.restore(agent.state())).toThrow(UserError);
    expect(() => agent.restore({ ...agent.state(), algorithm: 'ppo' })).toThrow('written by the agent "ppo"');
    expect(() => agent.act({ observation: [0], bounds: { low: 0, high: 1 } })).toThrow('expects observations of 4');
  });
});
