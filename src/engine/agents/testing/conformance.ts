import { describe, expect, test } from 'vitest';
import { Random } from '../../random';
import type { Agent } from '../agent';
import { RandomAgent } from '../random-agent';
import { BudgetChain, IdentityBandit, KeepRemove, KeepRemovePairs, type KnownAnswer, NoisyBandit } from './known-answer';
import { runEpisode } from './rollout';

/** The whole suite takes a minute or more for each agent; without ESPALIER_SLOW=1 one environment is solved with one seed. */
const SLOW = process.env['ESPALIER_SLOW'] === '1';
const SEEDS = SLOW ? [1, 2, 3] : [1];

/** Builds the agent for an environment; everything random comes from `random`. */
export type MakeAgent = (environment: KnownAnswer, random: Random) => Agent | Promise<Agent>;

/** Dependent steps take longer to learn than independent ones; random search gets the same number. */
const environments = [
  { label: 'identity bandit', episodes: 100, environment: (random: Random) => new IdentityBandit(random) },
  { label: 'noisy bandit', episodes: 100, environment: (random: Random) => new NoisyBandit(random) },
  { label: 'budget chain', episodes: 200, environment: (random: Random) => new BudgetChain(random) },
];

/** What agents are tried on that keep or remove, instead of choosing a number. */
const binaryEnvironments = [
  { label: 'keep or remove', episodes: 200, environment: (random: Random) => new KeepRemove(random) },
  { label: 'keep or remove, in pairs', episodes: 400, environment: (random: Random) => new KeepRemovePairs(random) },
];

/**
 * The suite every agent passes. `learns: false` for baselines, which are only held to the contract; `noisy: false` for those that keep the
 * best policy seen, which under noise is the luckiest; `binary: true` for those whose actions are 0 and 1;
 * `patience`: so many times the episodes, random search's as well, for those that learn from whole episodes alone.
 */
export function describeAgent(name: string, make: MakeAgent, { learns = true, noisy = true, binary = false, patience = 1 } = {}): void {
  describe(name, () => {
    const all = binary ? binaryEnvironments : environments.filter((e) => noisy || e.label !== 'noisy bandit');
    const solved = SLOW ? all : all.slice(0, 1);
    for (const { label, episodes, environment } of learns ? solved : []) {
      test(`solves the ${label} better than random search with as many steps, over ${SEEDS.length} seeds`, {
        timeout: 180_000,
      }, async () => {
        const regrets: number[] = [];
        const randomRegrets: number[] = [];
        for (const seed of SEEDS) {
          regrets.push(await regretAfter(environment, make, patience * episodes, seed));
          randomRegrets.push(await regretAfter(environment, (_, random) => new RandomAgent(random), patience * episodes, seed));
        }
        const message = `distance to the best value: ${regrets.map((r) => r.toFixed(3))}; random search ${randomRegrets.map((r) => r.toFixed(3))}`;
        expect(mean(regrets), message).toBeLessThan(mean(randomRegrets));
      });
    }

    test('two runs with one seed are equal byte for byte', async () => {
      expect(await trace(make, 7)).toBe(await trace(make, 7));
    });

    test('state() and restore() midway go on identically, through JSON', async () => {
      // Interrupted within an episode: after 12 whole episodes and 3 steps.
      expect(await trace(make, 8, { interruptAt: 12 * 8 + 3 })).toBe(await trace(make, 8));
    });

    test('executed actions keep to the bounds', async () => {
      const environment = new BudgetChain(new Random(4));
      const agent = await make(environment, new Random(5));
      for (let episode = 0; episode < 20; episode++) {
        const { actions } = await runEpisode(agent, environment, environment.reward);
        expect(actions.reduce((sum, a) => sum + a, 0)).toBeGreaterThanOrEqual(environment.steps / 2 - 1e-9);
        for (const a of actions) expect(a >= 0 && a <= 1).toBe(true);
      }
      // Without noise the agent itself stays within the bounds it is given.
      for (const bounds of [
        { low: 0.2, high: 0.3 },
        { low: 0.5, high: 0.5 },
      ]) {
        const { value } = agent.act({ observation: [0, 0, 0.5, 0.5], bounds }, { deterministic: true });
        expect(value).toBeGreaterThanOrEqual(bounds.low);
        expect(value).toBeLessThanOrEqual(bounds.high);
      }
      agent.dispose();
    });
  });
}

/** How far below the best value the agent's noiseless episode lies after learning. */
async function regretAfter(
  makeEnvironment: (random: Random) => KnownAnswer,
  make: MakeAgent,
  episodes: number,
  seed: number,
): Promise<number> {
  const environment = makeEnvironment(new Random(seed));
  const agent = await make(environment, new Random(seed + 1000));
  for (let episode = 0; episode < episodes; episode++) await runEpisode(agent, environment, environment.reward);
  const { actions } = await runEpisode(agent, environment, environment.reward, { deterministic: true });
  agent.dispose();
  return environment.value(environment.answer) - environment.value(actions);
}

/** Everything an agent does in 20 episodes with two interleaved actors, and its final state; optionally through a restored second agent. */
async function trace(make: MakeAgent, seed: number, { interruptAt = -1 } = {}): Promise<string> {
  const parent = new Random(seed);
  const actors = [0, 1].map((i) => new BudgetChain(parent.fork(`environment ${i}`)));
  let agent = await make(actors[0], parent.fork('agent'));
  const events: unknown[] = [];
  let observed = 0;
  for (let round = 0; round < 10; round++) {
    const steps = await Promise.all(actors.map((environment) => environment.reset()));
    for (let t = 0; t < actors[0].steps; t++) {
      for (const [actor, environment] of actors.entries()) {
        const { observation, bounds } = steps[actor];
        const action = agent.act({ observation, bounds }, { actor });
        const { executed, outcome, next, done } = await environment.step(action.value);
        const transition = { observation, bounds, action: executed, sample: action.value, logProbability: action.logProbability };
        events.push(action, agent.observe({ ...transition, outcome, next, done, actor }, environment.reward));
        if (next) steps[actor] = next;
        if (++observed === interruptAt) {
          const saved = JSON.stringify(agent.state());
          agent.dispose();
          // Another seed: whatever is random must come from the state.
          agent = await make(actors[0], new Random(seed + 99));
          agent.restore(JSON.parse(saved));
        }
      }
    }
    events.push(agent.endRound(actors[0].reward));
  }
  events.push(agent.state());
  agent.dispose();
  return JSON.stringify(events);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
