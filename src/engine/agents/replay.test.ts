import { expect, test } from 'vitest';
import { Random } from '../random';
import type { Transition } from './agent';
import { Replay } from './replay';

const transition = (number: number, actor = 0, done = false): Transition => ({
  observation: [number],
  bounds: { low: 0, high: 1 },
  action: number,
  sample: number,
  logProbability: 0,
  outcome: { accuracy: 0, flops: 0, measures: {} },
  next: undefined,
  done,
  actor,
});
const actions = (transitions: readonly Transition[]) => transitions.map((t) => t.action);

test('the oldest transitions are overwritten first', () => {
  const replay = new Replay(3);
  for (let i = 0; i < 5; i++) replay.push(transition(i));
  expect(actions(replay.state())).toEqual([2, 3, 4]);
});

test('a window holds only the newest, and every one of them is drawn', () => {
  const replay = new Replay(10);
  for (let i = 0; i < 14; i++) replay.push(transition(i));
  const drawn = new Set(actions(replay.sample(200, new Random(1), 3)));
  expect([...drawn].sort((a, b) => a - b)).toEqual([11, 12, 13]);
  expect(new Set(actions(replay.sample(500, new Random(1)))).size).toBe(10);
  expect(new Replay(3).sample(4, new Random(1))).toEqual([]);
});

test('a run follows one actor and ends with its episode', () => {
  const replay = new Replay(10);
  for (const [n, actor, done] of [
    [0, 0, false],
    [1, 1, false],
    [2, 0, false],
    [3, 1, true],
    [4, 0, true],
    [5, 1, false],
  ] as const) {
    replay.push(transition(n, actor, done));
  }
  expect(actions(replay.run(0, 10))).toEqual([0, 2, 4]);
  expect(actions(replay.run(0, 2))).toEqual([0, 2]);
  expect(actions(replay.run(1, 10))).toEqual([1, 3]);
  expect(actions(replay.run(5, 10))).toEqual([5]);
});

test('a restored replay draws and overwrites as the first would', () => {
  const first = new Replay(4);
  for (let i = 0; i < 6; i++) first.push(transition(i));
  const second = new Replay(4);
  second.restore(JSON.parse(JSON.stringify(first.state())));
  for (const replay of [first, second]) replay.push(transition(9));
  expect(actions(second.state())).toEqual(actions(first.state()));
  expect(actions(second.sample(20, new Random(3)))).toEqual(actions(first.sample(20, new Random(3))));
});
