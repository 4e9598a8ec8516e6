import { expect, test } from 'vitest';
import { Random } from '../random';
import type { Agent, Transition } from './agent';
import { RandomAgent } from './random-agent';
import { TabularQAgent, type TabularQOptions } from './tabular-q';
import { describeAgent } from './testing/conformance';
import { IdentityBandit } from './testing/known-answer';
import { runEpisode } from './testing/rollout';

// The suite's environments of continuous states are no task for a table: what it learns is shown below.
describeAgent('tabular Q', (_, random) => new TabularQAgent(random, { gamma: 0, initial: 1 }), { learns: false });

test('solves the identity bandit better than random search with as many steps, over 3 seeds', async () => {
  for (const seed of [1, 2, 3]) {
    const regret = async (make: (random: Random) => Agent): Promise<number> => {
      const environment = new IdentityBandit(new Random(seed));
      const agent = make(new Random(seed + 1000));
      for (let episode = 0; episode < 100; episode++) await runEpisode(agent, environment, environment.reward);
      const { actions } = await runEpisode(agent, environment, environment.reward, { deterministic: true });
      return environment.value(environment.answer) - environment.value(actions);
    };
    // A bandit's reward does not depend on what comes next: γ = 0; what was never tried is thought good, so that all is tried.
    const options = { gamma: 0, initial: 1, epsilon: 0.3, epsilonEpisodes: 30 };
    expect(await regret((random) => new TabularQAgent(random, options))).toBeLessThan(await regret((random) => new RandomAgent(random)));
  }
});

const bounds = { low: 0, high: 1 };

/** Five rooms in a row; action 1 goes right, 0 goes left; the last room pays 1 and ends, the first pays 0.2 for every step in it. */
function walk(options: Partial<TabularQOptions>, episodes: number): TabularQAgent {
  const agent = new TabularQAgent(new Random(3), { actions: 2, epsilon: 0.5, epsilonFloor: 0.5, ...options });
  for (let e = 0; e < episodes; e++) {
    let room = 1;
    for (let t = 0; t < 50; t++) {
      const step = { observation: [room], bounds };
      const { value } = agent.act(step);
      const to = Math.max(0, Math.min(4, room + (value > 0.5 ? 1 : -1)));
      const done = to === 4;
      const transition: Transition = {
        ...step,
        action: value,
        sample: value,
        logProbability: 0,
        outcome: { accuracy: done ? 1 : to === 0 ? 0.2 : 0, flops: 1, measures: {} },
        next: done ? undefined : { observation: [to], bounds },
        done,
        ended: done || t === 49,
        actor: 0,
      };
      agent.observe(transition, (o) => o.accuracy);
      room = to;
      if (done) break;
    }
  }
  return agent;
}

test.each([true, false])('Q converges to the value of the best policy (backward %s)', (backward) => {
  const gamma = 0.5;
  const agent = walk({ gamma, alpha: 0.3, backward }, 400);
  // Bellman's equations of this corridor, solved by iteration.
  const value = [0, 0, 0, 0, 0];
  const q = (room: number, action: number): number => {
    const to = Math.max(0, Math.min(4, room + (action ? 1 : -1)));
    return to === 4 ? 1 : (to === 0 ? 0.2 : 0) + gamma * value[to];
  };
  for (let i = 0; i < 100; i++) for (let room = 0; room < 4; room++) value[room] = Math.max(q(room, 0), q(room, 1));
  for (let room = 0; room < 4; room++) for (const action of [0, 1]) expect(agent.q([room], action)).toBeCloseTo(q(room, action), 3);
  expect(agent.states).toBe(4);
});

test('one episode is enough for the start to know of the end, where updates run backward', () => {
  const chain = (backward: boolean): number => {
    const agent = new TabularQAgent(new Random(1), { actions: 2, alpha: 1, backward });
    for (let t = 0; t < 10; t++) {
      const done = t === 9;
      const common = { bounds, action: 1, sample: 1, logProbability: 0, actor: 0 };
      const outcome = { accuracy: done ? 1 : 0, flops: 1, measures: {} };
      agent.observe(
        { ...common, observation: [t], outcome, done, next: done ? undefined : { observation: [t + 1], bounds } },
        (o) => o.accuracy,
      );
    }
    return agent.q([0], 1);
  };
  expect(chain(true)).toBe(1);
  expect(chain(false)).toBe(0);
});

test('ε falls linearly to its floor', () => {
  const agent = new TabularQAgent(new Random(1), { epsilon: 1, epsilonFloor: 0.2, epsilonEpisodes: 4 });
  const end: Transition = {
    observation: [0],
    bounds,
    action: 0,
    sample: 0,
    logProbability: 0,
    outcome: { accuracy: 0, flops: 1, measures: {} },
    next: undefined,
    done: true,
    actor: 0,
  };
  const seen = Array.from({ length: 6 }, () => {
    const { epsilon } = agent;
    agent.observe(end, () => 0);
    return Math.round(1e6 * epsilon) / 1e6;
  });
  expect(seen).toEqual([1, 0.8, 0.6, 0.4, 0.2, 0.2]);
});
