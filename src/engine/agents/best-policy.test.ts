import { expect, test } from 'vitest';
import type { Outcome, Transition } from './agent';
import { BestPolicy } from './best-policy';

const accuracy = (outcome: Outcome): number => outcome.accuracy;
const scored = (value: number, flops = 1): Outcome => ({ accuracy: value, flops }) as Outcome;

/** Two steps of one actor, actions within [0, 2]. */
function episode(best: BestPolicy, actions: readonly [number, number], outcome: Outcome, reward = accuracy): void {
  actions.forEach((action, i) => {
    best.action(0, '', () => false);
    const transition = { actor: 0, action, bounds: { low: 0, high: 2 }, outcome, done: i === 1 };
    best.see(transition as Transition, reward);
  });
}

const around = (best: BestPolicy, actor = 1): (number | undefined)[] => {
  const first = best.action(actor, '', () => true);
  best.see({ actor, action: 0, bounds: { low: 0, high: 2 }, outcome: scored(0), done: false } as Transition, accuracy);
  const second = best.action(actor, '', () => true);
  best.see({ actor, action: 0, bounds: { low: 0, high: 2 }, outcome: scored(0), done: true } as Transition, accuracy);
  return [first, second];
};

test('the best complete policy, as fractions of the ranges', () => {
  const best = new BestPolicy();
  expect(around(best)).toEqual([undefined, undefined]);
  episode(best, [0.5, 1], scored(0.7));
  episode(best, [2, 2], scored(0.6));
  expect(around(best)).toEqual([0.25, 0.5]);
  episode(best, [1, 0], scored(0.8));
  expect(around(best)).toEqual([0.5, 0]);
});

test('one known beforehand stays until a better one is found', () => {
  const best = new BestPolicy([['', { fractions: [0.9, 0.8], outcome: scored(0.75) }]]);
  episode(best, [1, 1], scored(0.7));
  expect(around(best)).toEqual([0.9, 0.8]);
});

test('rewards that changed since are computed anew', () => {
  const best = new BestPolicy([['', { fractions: [0.9, 0.8], outcome: scored(0.9, 5) }]]);
  episode(best, [1, 1], scored(0.7, 1), (o) => o.accuracy - o.flops);
  expect(around(best)).toEqual([0.5, 0.5]);
});

test('it is asked once an episode whether to explore around the best, and is kept in checkpoints', () => {
  const best = new BestPolicy([['', { fractions: [0.9, 0.8], outcome: scored(0.75) }]]);
  let asked = 0;
  const ask = (): boolean => asked++ < 0;
  expect(best.action(3, '', ask)).toBeUndefined();
  expect(best.action(3, '', ask)).toBeUndefined();
  expect(asked).toBe(1);
  const other = new BestPolicy();
  other.restore(JSON.parse(JSON.stringify(best.state())));
  expect(around(other)).toEqual([0.9, 0.8]);
});

test('each task has a best policy of its own', () => {
  const best = new BestPolicy();
  const play = (task: string, action: number, accuracy: number): void => {
    best.action(0, task, () => false);
    best.see({ actor: 0, action, bounds: { low: 0, high: 1 }, outcome: scored(accuracy), done: true } as Transition, (o) => o.accuracy);
  };
  // Whatever is done for task b is worth less than for task a.
  play('a', 0.9, 0.8);
  play('a', 0.4, 0.3);
  play('b', 0.1, 0.2);
  play('b', 0.6, 0.1);
  expect([best.action(1, 'a', () => true), best.action(2, 'b', () => true), best.action(3, 'c', () => true)]).toEqual([
    0.9,
    0.1,
    undefined,
  ]);
});

test('a state within an episode goes on where it was', () => {
  const best = new BestPolicy([['t', { fractions: [0.9, 0.8], outcome: scored(0.75) }]]);
  const step = { actor: 0, action: 1, bounds: { low: 0, high: 2 }, outcome: scored(0.9), done: false } as Transition;
  best.action(0, 't', () => true);
  best.see(step, accuracy);
  const other = new BestPolicy();
  other.restore(JSON.parse(JSON.stringify(best.state())));
  for (const b of [best, other]) {
    expect(b.action(0, 't', () => false)).toBe(0.8);
    b.see({ ...step, done: true }, accuracy);
    b.action(0, 't', () => true);
    b.see(step, accuracy);
    expect(b.action(0, 't', () => false)).toBe(0.5);
  }
});
