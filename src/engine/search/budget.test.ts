import { describe, expect, it } from 'vitest';
import { Random } from '../random';
import { allowedWidths, nearestWidth, ratioBounds, type WidthChoices } from './budget';

const choices: WidthChoices[] = [
  { channels: 16, widths: [16, 8] },
  { channels: 32, widths: [32, 24, 16, 8] },
  { channels: 64, widths: [64, 48, 32, 16, 8] },
];
/** A chain of layers: each costs its input times its output width. */
const cost = (kept: readonly number[]): number => 3 * kept[0] + kept[0] * kept[1] + kept[1] * kept[2] + 10 * kept[2];
const whole = cost([16, 32, 64]);

function everyPolicy(): number[][] {
  return choices.reduce<number[][]>((all, c) => all.flatMap((p) => c.widths.map((w) => [...p, w])), [[]]);
}

describe('allowedWidths', () => {
  it.each([0.9, 0.7, 0.5, 0.3])('at %f of the cost leads every walk to a policy within the budget', (share) => {
    const budget = { ceiling: share * whole, floor: 0 };
    const random = new Random(7);
    for (let walk = 0; walk < 200; walk++) {
      const kept: number[] = [];
      for (let i = 0; i < choices.length; i++) {
        const widths = allowedWidths(choices, i, kept, cost, budget);
        kept.push(widths[random.below(widths.length)]);
      }
      expect(cost(kept)).toBeLessThanOrEqual(budget.ceiling);
    }
  });

  it('leaves every policy within a two-sided budget reachable (brute force)', () => {
    const budget = { ceiling: 0.6 * whole, floor: 0.4 * whole };
    const within = everyPolicy().filter((p) => cost(p) <= budget.ceiling && cost(p) >= budget.floor);
    expect(within.length).toBeGreaterThan(3);
    for (const policy of within) {
      policy.forEach((w, i) => {
        expect(allowedWidths(choices, i, policy.slice(0, i), cost, budget)).toContain(w);
      });
    }
  });

  it('leaves the narrowest width where the budget is out of reach, the widest reachable where the floor is', () => {
    expect(allowedWidths(choices, 0, [], cost, { ceiling: 1, floor: 0 })).toEqual([8]);
    expect(allowedWidths(choices, 2, [8, 8], cost, { ceiling: whole, floor: whole })).toEqual([64]);
  });
});

describe('widths and ratios', () => {
  it('maps ratios to the nearest width', () => {
    expect(nearestWidth(choices[1], 0.3)).toBe(24);
    expect(nearestWidth(choices[1], 0.9)).toBe(8);
    expect(nearestWidth(choices[1], 0.125)).toBe(32);
  });

  it('gives the bounds the agent sees', () => {
    expect(ratioBounds([24, 16], 32)).toEqual({ low: 0.25, high: 0.5 });
  });
});
