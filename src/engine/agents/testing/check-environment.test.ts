import { expect, test } from 'vitest';
import { Random } from '../../random';
import type { StepResult } from '../agent';
import { checkEnvironment } from './check-environment';
import { BudgetChain, IdentityBandit, NoisyBandit } from './known-answer';

test.each([
  ['identity bandit', () => new IdentityBandit(new Random(1))],
  ['noisy bandit', () => new NoisyBandit(new Random(1))],
  ['budget chain', () => new BudgetChain(new Random(1))],
])('the %s is a well-formed environment', async (_, make) => {
  expect(await checkEnvironment(make, new Random(2))).toEqual([]);
});

class Broken extends IdentityBandit {
  constructor(private readonly breakIt: (result: StepResult) => StepResult) {
    super(new Random(1), 3);
  }

  override async step(action: number): Promise<StepResult> {
    return this.breakIt(await super.step(action));
  }
}

let answers = 0;

test.each<[string, (result: StepResult) => StepResult]>([
  ['outside of its bounds', (r) => ({ ...r, executed: 2 })],
  ['done is true', (r) => ({ ...r, done: true })],
  ['is not in [0, 1]', (r) => ({ ...r, outcome: { ...r.outcome, accuracy: 1.5 } })],
  ['not in [0, 1]', (r) => ({ ...r, next: r.next && { ...r.next, observation: [0, 0, 0, 7] } })],
  ['an observation of 1 numbers, not 4', (r) => ({ ...r, next: r.next && { ...r.next, observation: [0] } })],
  ['gave another episode', (r) => ({ ...r, outcome: { ...r.outcome, flops: ++answers } })],
])('the checker finds: %s', async (sentence, breakIt) => {
  const problems = await checkEnvironment(() => new Broken(breakIt), new Random(2));
  expect(problems.join('\n')).toContain(sentence);
});

test('the budget chain has the answer that no small change improves', () => {
  const chain = new BudgetChain(new Random(3));
  const best = chain.value(chain.answer);
  expect(chain.answer.reduce((sum, a) => sum + a, 0)).toBeCloseTo(4, 6);
  for (let i = 0; i < 7; i++) {
    for (const d of [-0.01, 0.01]) {
      const moved = chain.answer.map((a, t) => (t === i ? a + d : t === i + 1 ? a - d : a));
      if (moved.every((a) => a >= 0 && a <= 1)) expect(chain.value(moved)).toBeLessThan(best + 1e-9);
    }
  }
});
