import { expect, test } from 'vitest';
import { clip } from './exploration';
import { GreedyAgent, greedyEpisodes } from './greedy-agent';
import { describeAgent } from './testing/conformance';

// What it finds is shown below: it wants an environment without bounds, which the suite's known answers are not.
describeAgent(
  'sensitivity-greedy',
  ({ steps }) =>
    new GreedyAgent(
      { levels: Array.from({ length: steps }, () => [0, 0.5, 1]), relativeCost: (a) => (2 * a.reduce((sum, x) => sum + 1 - x, 0)) / steps },
      2,
    ),
  { learns: false },
);

const LEVELS = [0, 0.25, 0.5, 0.75];
const problem = { levels: [LEVELS, LEVELS, LEVELS], relativeCost: (a: readonly number[]) => (2 * a.reduce((s, x) => s + 1 - x, 0)) / 3 };
const SENSITIVITY = [0.4, 0.1, 0.2];
const accuracy = (actions: readonly number[]): number => 0.9 - actions.reduce((sum, a, i) => sum + SENSITIVITY[i] * a, 0);

/** Plays an episode: an outcome of the whole policy for every step. */
function episode(agent: GreedyAgent, actor = 0): number[] {
  const step = { observation: [], bounds: { low: 0, high: 1 } };
  const actions = LEVELS.slice(0, 3).map(() => clip(agent.act(step, { actor }).value, 0, 1));
  for (const action of actions) {
    const outcome = { accuracy: accuracy(actions), flops: 1, measures: {} };
    const transition = { ...step, action, sample: action, logProbability: 0, outcome, next: undefined, done: true, actor };
    agent.observe(transition, (o) => o.accuracy);
  }
  return actions;
}

test('probes the whole, then each step alone; then what loses least for its cost goes until the budget is met', () => {
  const agent = new GreedyAgent(problem, 3);
  const played = Array.from({ length: 11 }, () => episode(agent));
  expect(played[0]).toEqual([0, 0, 0]);
  expect(played.slice(1, 10)).toEqual([0, 1, 2].flatMap((i) => [0.25, 0.5, 0.75].map((a) => [0, 0, 0].map((_, j) => (j === i ? a : 0)))));
  // Half of the cost has to go: 1.5 in the sum of the actions; the second step first, then the third, none of the first.
  expect(played[10]).toEqual([0, 0.75, 0.75]);
});

test('one probe a step suffices where losses are straight', () => {
  const agent = new GreedyAgent(problem, 1);
  for (let i = 0; i < 4; i++) episode(agent);
  expect(episode(agent)).toEqual([0, 0.75, 0.75]);
});

test('with parallel actors it waits for the last probes, within the episodes it asks for', () => {
  const agent = new GreedyAgent(problem, 1);
  const step = { observation: [], bounds: { low: 0, high: 1 } };
  let last: number[][] = [];
  const rounds = greedyEpisodes(3, 1, 3) / 3;
  expect(rounds).toBe(3);
  for (let round = 0; round < rounds; round++) {
    const actors = [0, 1, 2];
    const actions = actors.map((actor) => [0, 1, 2].map(() => agent.act(step, { actor }).value));
    actors.forEach((actor) => {
      for (const action of actions[actor]) {
        const outcome = { accuracy: accuracy(actions[actor]), flops: 1, measures: {} };
        agent.observe(
          { ...step, action, sample: action, logProbability: 0, outcome, next: undefined, done: true, actor },
          (o) => o.accuracy,
        );
      }
    });
    last = actions;
  }
  for (const actions of last) expect(actions).toEqual([0, 0.75, 0.75]);
});

test('goes on after a restore', () => {
  const whole = new GreedyAgent(problem, 2);
  const played = Array.from({ length: 8 }, () => episode(whole));
  const first = new GreedyAgent(problem, 2);
  for (let i = 0; i < 3; i++) episode(first);
  const second = new GreedyAgent(problem, 2);
  second.restore(JSON.parse(JSON.stringify(first.state())));
  expect(Array.from({ length: 5 }, () => episode(second))).toEqual(played.slice(3));
});
