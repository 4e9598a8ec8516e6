import { describe, expect, it } from 'vitest';
import { Random } from '../random';
import { dominates, type Objective, ParetoFront } from './pareto';

type Point = { readonly a: number; readonly b: number; readonly c: number };
const objectives: Array<Objective<Point>> = (['a', 'b', 'c'] as const).map((name) => ({ name, value: (p) => p[name] }));

describe('ParetoFront', () => {
  it('holds exactly the points that brute force finds undominated, in any order of arrival', () => {
    const random = new Random(4);
    const draw = (): number => random.below(12);
    const points = Array.from({ length: 300 }, () => ({ a: draw(), b: draw(), c: draw() }));
    const expected = new Set(points.filter((p) => !points.some((q) => dominates(q, p, objectives))).map((p) => JSON.stringify(p)));
    for (const order of [points, [...points].reverse(), Array.from(random.permutation(300), (i) => points[i])]) {
      const front = new ParetoFront(objectives);
      for (const p of order) front.add(p);
      expect(new Set(front.items().map((p) => JSON.stringify(p)))).toEqual(expected);
      expect(front.items().length).toBe(expected.size);
    }
  });

  it('turns away a twin and NaN', () => {
    const front = new ParetoFront(objectives);
    expect(front.add({ a: 1, b: 1, c: 1 })).toBe(true);
    expect(front.add({ a: 1, b: 1, c: 1 })).toBe(false);
    expect(dominates({ a: Number.NaN, b: 9, c: 9 }, { a: 0, b: 0, c: 0 }, objectives)).toBe(false);
  });
});
