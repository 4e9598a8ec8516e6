import { describe, expect, it } from 'vitest';
import { evaluateExpression } from './evaluator';
import { REWARD_NAMES } from './names';
import { parseFormula } from './parser';
import { printExpression } from './printer';
import { compileReward } from './reward';

/** mulberry32: the protocol imports nothing of the engine, so the test has its own small generator. */
function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

const PIECES = [
  ...'+-*/^<>=!?:(),.%&|[]{}"\'\\ \n\t0123456789eE_#😀λ−×',
  '==',
  '<=',
  '!=',
  'accuracy',
  'flops0',
  'max(',
  'log(',
  'clamp(',
  '1.5',
  '1e308',
  'constructor',
  '__proto__',
  'NaN',
  '\u0000',
  '\ud800',
];

describe('any text at all', () => {
  it('gives an expression or problems with ranges inside the text, and never throws', () => {
    const random = generator(1);
    let valid = 0;
    for (let i = 0; i < 20_000; i++) {
      const text = Array.from({ length: 1 + Math.floor(random() * 12) }, () => PIECES[Math.floor(random() * PIECES.length)]).join('');
      const { expression, problems } = parseFormula(text);
      expect(expression === undefined).toBe(problems.length > 0);
      for (const { range } of problems) {
        expect(range.start).toBeGreaterThanOrEqual(0);
        expect(range.end).toBeGreaterThanOrEqual(range.start);
        expect(range.end).toBeLessThanOrEqual(text.length);
      }
      compileReward(text);
      if (expression) valid++;
    }
    // The generator must reach valid formulas too, or it tests half of it.
    expect(valid).toBeGreaterThan(100);
  });
});

describe('any formula at all', () => {
  const random = generator(2);
  const names = [...REWARD_NAMES.keys()];
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)];
  function formula(depth: number): string {
    const kind = depth <= 0 ? random() * 2 : random() * 8;
    if (kind < 1) return String(Math.floor(random() * 100) / 10);
    if (kind < 2) return pick(names);
    if (kind < 3) return `-${formula(depth - 1)}`;
    if (kind < 4) return `(${formula(depth - 1)})`;
    if (kind < 5) return `(${formula(depth - 1)} ? ${formula(depth - 1)} : ${formula(depth - 1)})`;
    if (kind < 6) return `${pick(['min', 'max'])}(${formula(depth - 1)}, ${formula(depth - 1)})`;
    if (kind < 7) return `(${formula(depth - 1)} ${pick(['<', '<=', '==', '!='])} ${formula(depth - 1)})`;
    return `${formula(depth - 1)} ${pick(['+', '-', '*', '/', '^'])} ${formula(depth - 1)}`;
  }

  it('prints to a formula of the same value, and evaluates to a finite number or a problem', () => {
    const values = Object.fromEntries(names.map((name, i) => [name, (i % 5) - 1 + i / 7]));
    let numbers = 0;
    for (let i = 0; i < 3000; i++) {
      const text = formula(5);
      const { expression, problems } = parseFormula(text);
      if (!expression) {
        expect(problems[0].message).toContain('longer than');
        continue;
      }
      const again = parseFormula(printExpression(expression)).expression!;
      expect(printExpression(again)).toBe(printExpression(expression));
      const result = evaluateExpression(expression, values);
      const reprinted = evaluateExpression(again, values);
      expect(reprinted.value).toBe(result.value);
      if (result.problem) expect(result.problem.range.end).toBeLessThanOrEqual(text.length);
      else {
        expect(Number.isFinite(result.value)).toBe(true);
        numbers++;
      }
    }
    expect(numbers).toBeGreaterThan(1000);
  });
});
