import { expect, test } from 'vitest';
import type { Outcome, Transition } from './agent';
import { BestPolicy, type Guide, type KnownPolicy } from './best-policy';

const accuracy = (outcome: Outcome): number => outcome.accuracy;
const scored = (value: number, flops = 1): Outcome => ({ accuracy: value, flops }) as Outcome;

/** Two steps that saw nothing, actions within [0, 2]. */
const known = (fractions: readonly number[], outcome: Outcome): KnownPolicy => ({
  fractions,
  actions: fractions.map((u) => 2 * u),
  observations: fractions.map(() => []),
  outcome,
});

/** What to explore around; undefined where nothing is. */
const near = (guide: Guide | undefined): number | undefined => (guide && 'around' in guide ? guide.around : undefined);

/** Two steps of one actor, actions within [0, 2]. */
function episode(best: BestPolicy, actions: readonly [number, number], outcome: Outcome, reward = accuracy): void {
  actions.forEach((action, i) => {
    best.guide(0, '', () => false);
    const transition = { actor: 0, action, bounds: { low: 0, high: 2 }, outcome, done: i === 1 };
    best.see(transition as Transition, reward);
  });
}

const around = (best: BestPolicy, actor = 1): (number | undefined)[] => {
  const first = near(best.guide(actor, '', () => true));
  best.see({ actor, action: 0, bounds: { low: 0, high: 2 }, outcome: scored(0), done: false } as Transition, accuracy);
  const second = near(best.guide(actor, '', () => true));
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
  const best = new BestPolicy([['', known([0.9, 0.8], scored(0.75))]]);
  episode(best, [1, 1], scored(0.7));
  expect(around(best)).toEqual([0.9, 0.8]);
});

test('rewards that changed since are computed anew', () => {
  const best = new BestPolicy([['', known([0.9, 0.8], scored(0.9, 5))]]);
  episode(best, [1, 1], scored(0.7, 1), (o) => o.accuracy - o.flops);
  expect(around(best)).toEqual([0.5, 0.5]);
});

test('it is asked once an episode whether to explore around the best, and is kept in checkpoints', () => {
  const best = new BestPolicy([['', known([0.9, 0.8], scored(0.75))]]);
  let asked = 0;
  const ask = (): boolean => asked++ < 0;
  expect(best.guide(3, '', ask)).toBeUndefined();
  expect(best.guide(3, '', ask)).toBeUndefined();
  expect(asked).toBe(1);
  const other = new BestPolicy();
  other.restore(JSON.parse(JSON.stringify(best.state())));
  expect(around(other)).toEqual([0.9, 0.8]);
});

test('each task has a best policy of its own', () => {
  const best = new BestPolicy();
  const play = (task: string, action: number, accuracy: number): void => {
    best.guide(0, task, () => false);
    best.see({ actor: 0, action, bounds: { low: 0, high: 1 }, outcome: scored(accuracy), done: true } as Transition, (o) => o.accuracy);
  };
  // Whatever is done for task b is worth less than for task a.
  play('a', 0.9, 0.8);
  play('a', 0.4, 0.3);
  play('b', 0.1, 0.2);
  play('b', 0.6, 0.1);
  const of = (actor: number, task: string): number | undefined => near(best.guide(actor, task, () => true));
  expect([of(1, 'a'), of(2, 'b'), of(3, 'c')]).toEqual([0.9, 0.1, undefined]);
});

test('a state within an episode goes on where it was', () => {
  const best = new BestPolicy([['t', known([0.9, 0.8], scored(0.75))]]);
  const step = { actor: 0, action: 1, bounds: { low: 0, high: 2 }, outcome: scored(0.9), done: false } as Transition;
  best.guide(0, 't', () => true);
  best.see(step, accuracy);
  const other = new BestPolicy();
  other.restore(JSON.parse(JSON.stringify(best.state())));
  for (const b of [best, other]) {
    expect(near(b.guide(0, 't', () => false))).toBe(0.8);
    b.see({ ...step, done: true }, accuracy);
    b.guide(0, 't', () => true);
    b.see(step, accuracy);
    expect(near(b.guide(0, 't', () => false))).toBe(0.5);
  }
});

test('a proposed policy is tried once, exactly, by the next episode of its task; what is found so is no find of the agent', () => {
  const best = new BestPolicy();
  const step = { actor: 0, bounds: { low: 0, high: 2 }, outcome: scored(0.9) };
  best.propose('t', [9, 9]);
  best.propose('t', [0.5, 1.5]);
  const ask = (): boolean => {
    throw new Error('asked');
  };
  expect(best.guide(1, 'other', () => true)).toBeUndefined();
  expect(best.guide(0, 't', ask)).toEqual({ exactly: 0.5 });
  expect(best.see({ ...step, action: 0.5, done: false } as Transition, accuracy)).toBeUndefined();
  const other = new BestPolicy();
  other.restore(JSON.parse(JSON.stringify(best.state())));
  for (const b of [best, other]) {
    expect(b.guide(0, 't', ask)).toEqual({ exactly: 1.5 });
    // It is the best now, but nothing to propose to others.
    expect(b.see({ ...step, action: 1.5, done: true } as Transition, accuracy)).toBeUndefined();
    expect(b.guide(0, 't', () => true)).toEqual({ around: 0.25 });
    b.see({ ...step, action: 1, outcome: scored(0.95), done: false } as Transition, accuracy);
    b.guide(0, 't', () => true);
    const found = b.see({ ...step, action: 2, outcome: scored(0.95), done: true } as Transition, accuracy);
    expect(found).toEqual({ task: 't', actions: [1, 2] });
    // A worse one is no find.
    b.guide(0, 't', () => false);
    b.see({ ...step, action: 1, outcome: scored(0.2), done: false } as Transition, accuracy);
    b.guide(0, 't', () => false);
    expect(b.see({ ...step, action: 2, outcome: scored(0.2), done: true } as Transition, accuracy)).toBeUndefined();
  }
});

test('counts the episodes that only repeat what was acted out, for each task, until one is new; so does one restored', () => {
  let best = new BestPolicy();
  const play = (task: string, action: number): number => {
    best.guide(0, task, () => false);
    best.see({ actor: 0, action, bounds: { low: 0, high: 1 }, outcome: scored(0.5), done: true } as Transition, accuracy);
    return best.repeats;
  };
  expect([play('a', 0.5), play('a', 0.5), play('b', 0.5), play('a', 0.5), play('b', 0.5)]).toEqual([0, 1, 0, 1, 2]);
  const state = best.state();
  best = new BestPolicy();
  best.restore(JSON.parse(JSON.stringify(state)));
  expect([best.repeats, play('a', 0.5), play('a', 0.25), play('a', 0.25)]).toEqual([2, 3, 0, 1]);
});

test('an episode around the best policy tries a whole policy near it where one is given; what is better is a find', () => {
  const best = new BestPolicy([['', known([0.5, 0.5], scored(0.75))]]);
  const seen: boolean[] = [];
  const nearby = ({ actions, observations }: KnownPolicy, tried: (actions: readonly number[]) => boolean): readonly number[] => {
    expect(observations).toHaveLength(2);
    seen.push(tried([1.5, 0.5]));
    return [actions[0] + 0.5, actions[1] - 0.5];
  };
  const step = { actor: 0, bounds: { low: 0, high: 2 }, observation: [], outcome: scored(0.8) };
  expect(best.guide(0, '', () => true, nearby)).toEqual({ exactly: 1.5 });
  best.see({ ...step, action: 1.5, done: false } as unknown as Transition, accuracy);
  expect(best.guide(0, '', () => true, nearby)).toEqual({ exactly: 0.5 });
  expect(best.see({ ...step, action: 0.5, done: true } as unknown as Transition, accuracy)).toEqual({ task: '', actions: [1.5, 0.5] });
  // Asked once an episode; the next one knows what was tried.
  best.guide(0, '', () => true, nearby);
  expect(seen).toEqual([false, true]);
  // Where there is none, each step explores by itself.
  expect(
    best.guide(
      1,
      '',
      () => true,
      () => undefined,
    ),
  ).toEqual({ around: 0.75 });
});
