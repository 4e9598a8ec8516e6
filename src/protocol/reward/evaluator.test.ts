import { describe, expect, it } from 'vitest';
import { evaluateExpression } from './evaluator';
import { parseFormula } from './parser';

const evaluate = (text: string, values: Record<string, number> = {}) =>
  evaluateExpression(parseFormula(text, ['x', 'y']).expression!, values);

describe('values', () => {
  it.each([
    ['1 + 2 * 3', 7],
    ['2 ^ 3 ^ 2', 512],
    ['-2 ^ 2', -4],
    ['(-2) ^ 2', 4],
    ['2 ^ -1', 0.5],
    ['7 - 2 - 1', 4],
    ['8 / 4 / 2', 1],
    ['1 < 2', 1],
    ['2 <= 1', 0],
    ['2 == 2', 1],
    ['2 != 2', 0],
    ['(3 > 2) + (3 >= 3)', 2],
    ['0 ? 1 : 2', 2],
    ['-1 ? 1 : 2', 1],
    ['min(3, 1, 2)', 1],
    ['max(3)', 3],
    ['abs(-1.5)', 1.5],
    ['exp(0) + sqrt(9)', 4],
    ['log(exp(2))', 2],
    ['clamp(5, 0, 1) + clamp(-5, 0, 1) + clamp(0.25, 0, 1)', 1.25],
  ])('%s = %s', (text, value) => expect(evaluate(text)).toEqual({ value }));

  it('reads names', () => expect(evaluate('accuracy - x * 2', { accuracy: 0.9, x: 0.1 })).toEqual({ value: 0.9 - 0.2 }));
});

describe('no value', () => {
  it.each([
    ['1 + 1 / (flops - flops)', "'1 / (flops - flops)' is infinite (division by zero)", '1 / (flops - flops)'],
    ['0 / 0', "'0 / 0' is not a number (division by zero)", '0 / 0'],
    ['2 * log(0)', "'log(0)' is infinite", 'log(0)'],
    ['sqrt(-1) + 1', "'sqrt(-1)' is not a number", 'sqrt(-1)'],
    ['(-8) ^ 0.5', "'(-8) ^ 0.5' is not a number", '(-8) ^ 0.5'],
    ['clamp(exp(1000), 0, 1)', "'exp(1000)' is infinite", 'exp(1000)'],
  ])('%s names the innermost sub-expression', (text, message, at) => {
    const { problem } = evaluate(text, { flops: 5 });
    expect(problem?.message).toBe(message);
    expect(text.slice(problem!.range.start, problem!.range.end)).toBe(at);
  });

  it('says what was not measured or not set, and where', () => {
    expect(evaluate('accuracy - latency', { accuracy: 1 }).problem).toEqual({
      message: "'latency' was not measured",
      range: { start: 11, end: 18 },
    });
    expect(evaluate('1 / budget').problem?.message).toBe("'budget' has no value here; set it in the config");
  });

  it('takes nothing from prototypes', () => {
    const inherited = Object.create({ accuracy: 1 }) as Record<string, number>;
    expect(evaluate('accuracy', inherited).problem?.message).toBe("'accuracy' was not measured");
  });

  it('evaluates only the branch it takes', () => {
    expect(evaluate('x > 0 ? 1 / x : 0', { x: 0 })).toEqual({ value: 0 });
    expect(evaluate('x > 0 ? 1 : latency', { x: 1 })).toEqual({ value: 1 });
  });
});
