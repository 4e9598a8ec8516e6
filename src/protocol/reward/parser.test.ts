import { describe, expect, it } from 'vitest';
import { type Expression, namesUsed } from './expression';
import { MAX_FORMULA_LENGTH, MAX_NESTING, parseFormula } from './parser';
import { printExpression } from './printer';

/** A tree in brackets: every operation shows what it holds. */
function bracketed(e: Expression): string {
  switch (e.kind) {
    case 'number':
      return String(e.value);
    case 'name':
      return e.name;
    case 'negation':
      return `(- ${bracketed(e.operand)})`;
    case 'binary':
      return `(${bracketed(e.left)} ${e.operator} ${bracketed(e.right)})`;
    case 'conditional':
      return `(${bracketed(e.test)} ? ${bracketed(e.then)} : ${bracketed(e.otherwise)})`;
    case 'call':
      return `${e.function}[${e.arguments.map(bracketed).join(' ')}]`;
  }
}

function parsed(text: string): Expression {
  const { expression, problems } = parseFormula(text, ['a', 'b', 'c', 'd']);
  expect(problems).toEqual([]);
  return expression!;
}

describe('precedence', () => {
  it.each([
    ['a + b * c', '(a + (b * c))'],
    ['a * b + c', '((a * b) + c)'],
    ['a - b - c', '((a - b) - c)'],
    ['a / b / c', '((a / b) / c)'],
    ['a / b * c', '((a / b) * c)'],
    ['a ^ b ^ c', '(a ^ (b ^ c))'],
    ['-a ^ b', '(- (a ^ b))'],
    ['a ^ -b', '(a ^ (- b))'],
    ['a ^ -b ^ c', '(a ^ (- (b ^ c)))'],
    ['a ^ -b * c', '((a ^ (- b)) * c)'],
    ['a * b ^ c', '(a * (b ^ c))'],
    ['-a * b', '((- a) * b)'],
    ['a * -b', '(a * (- b))'],
    ['a - -b', '(a - (- b))'],
    ['--a', '(- (- a))'],
    ['(a + b) * c', '((a + b) * c)'],
    ['a + b < c * d', '((a + b) < (c * d))'],
    ['(a < b) == (c < d)', '((a < b) == (c < d))'],
    ['a < b ? c : d', '((a < b) ? c : d)'],
    ['a ? b : c ? d : a', '(a ? b : (c ? d : a))'],
    ['a ? b ? c : d : a', '(a ? (b ? c : d) : a)'],
    ['a ? b + c : c + d', '(a ? (b + c) : (c + d))'],
    ['min(a, b + c, 1)', 'min[a (b + c) 1]'],
    ['max(min(a, 1), clamp(b, 0, 1)) + 1', '(max[min[a 1] clamp[b 0 1]] + 1)'],
    ['1.5e-3 + .5 + 2. + 1E2', '(((0.0015 + 0.5) + 2) + 100)'],
    ['accuracy - 0.3 * latency / latency0', '(accuracy - ((0.3 * latency) / latency0))'],
  ])('%s', (text, tree) => {
    const expression = parsed(text);
    expect(bracketed(expression)).toBe(tree);
    // Printing and reading again gives the same tree.
    expect(bracketed(parsed(printExpression(expression)))).toBe(tree);
  });

  it('prints only the parentheses that are needed', () => {
    expect(printExpression(parsed('((a)) + ((b * c)) - (a - (b - c))'))).toBe('a + b * c - (a - (b - c))');
    expect(printExpression(parsed('(-a) ^ 2 + -(a ^ 2)'))).toBe('(-a) ^ 2 + -a ^ 2');
    expect(printExpression(parsed('(a ? b : c) + 1'))).toBe('(a ? b : c) + 1');
  });
});

describe('ranges', () => {
  it('covers what was read, parentheses included', () => {
    const text = ' (a + b) *  max(c, 1)';
    const e = parsed(text);
    if (e.kind !== 'binary' || e.right.kind !== 'call') throw new Error('unexpected tree');
    const slice = ({ start, end }: { start: number; end: number }) => text.slice(start, end);
    expect(slice(e.range)).toBe('(a + b) *  max(c, 1)');
    expect(slice(e.left.range)).toBe('(a + b)');
    expect(slice(e.operatorRange)).toBe('*');
    expect(slice(e.right.functionRange)).toBe('max');
    expect(e.right.arguments.map((argument) => slice(argument.range))).toEqual(['c', '1']);
  });

  it('lists the names used once, in order', () => {
    expect(namesUsed(parsed('c + a * c - min(b, a)'))).toEqual(['c', 'a', 'b']);
  });
});

describe('problems', () => {
  it.each([
    ['acuracy - 1', 'acuracy', "unknown name 'acuracy' (did you mean accuracy?)"],
    ['1 + lattency0', 'lattency0', "unknown name 'lattency0' (did you mean latency0?)"],
    ['zzzz', 'zzzz', "unknown name 'zzzz'"],
    ['constructor', 'constructor', "unknown name 'constructor'"],
    ['__proto__ + 1', '__proto__', "unknown name '__proto__'"],
    ['toString()', 'toString', "unknown function 'toString'"],
    ['mx(1, 2)', 'mx', "unknown function 'mx' (did you mean max?)"],
    ['accuracy(1)', 'accuracy', "'accuracy' is a value, not a function"],
    ['1 + log', 'log', "function 'log' needs its arguments in parentheses"],
    ['log(1, 2)', 'log(1, 2)', 'log(x) takes 1 argument, not 2'],
    ['2 * clamp(1, 2)', 'clamp(1, 2)', 'clamp(x, low, high) takes 3 arguments, not 2'],
    ['max()', 'max()', 'max(a, b, …) takes at least 1 argument, not 0'],
    ['(accuracy', '(', "'(' is never closed"],
    ['1 + max(1, 2', '(', "'(' is never closed"],
    ['(1 2)', '2', "expected ')' before '2'"],
    ['max(1 2)', '2', "expected ',' or ')' before '2'"],
    ['accuracy)', ')', "')' without a matching '('"],
    ['1 2', '2', "expected an operator before '2'"],
    ['1 +', '', "expected a number, a name or '(', found the end of the formula"],
    ['* 2', '*', "expected a number, a name or '(', found '*'"],
    ['+2', '+', "there is no unary '+'; leave it out"],
    ['', '', 'the formula is empty'],
    ['1 ? 2', '?', "'?' needs a ':' after its first choice, found the end of the formula"],
    ['1 < 2 < 3', '<', "comparisons cannot be chained; use '?:' or multiply two comparisons"],
    ['accuracy ** 2', '**', "a power is written '^' here, not '**'"],
    ['accuracy.length', '.', 'there is no property access; names are single words'],
    ['accuracy = 1', '=', "a formula assigns nothing; equality is written '=='"],
    ['1 − 2', '−', "write a plain '-' for '−'"],
    ['accuracy # 1', '#', "unexpected character '#'"],
    ['1 + 😀', '😀', "unexpected character '😀'"],
    ['1e999', '1e999', 'the number 1e999 is too large'],
  ])('%s', (text, at, message) => {
    const { expression, problems } = parseFormula(text);
    expect(expression).toBeUndefined();
    expect(problems).toHaveLength(1);
    expect(problems[0].message).toBe(message);
    expect(text.slice(problems[0].range.start, problems[0].range.end)).toBe(at);
  });

  it('points at the second comparison of a chain, not at the first', () => {
    expect(parseFormula('1 < 2 < 3').problems[0].range).toEqual({ start: 6, end: 7 });
  });

  it('reports every unknown name', () => {
    const { problems } = parseFormula('acuracy + flop * mim(1)');
    expect(problems.map((p) => p.suggestion)).toEqual(['accuracy', 'flops', 'min']);
  });

  it("knows the config's constants, and suggests them", () => {
    expect(parseFormula('weight * accuracy', ['weight']).problems).toEqual([]);
    expect(parseFormula('wieght * accuracy', ['weight']).problems[0].suggestion).toBe('weight');
  });

  it('refuses what is too long or too deep instead of running out of stack', () => {
    expect(parseFormula('1+'.repeat(MAX_FORMULA_LENGTH)).problems[0].message).toContain('longer than');
    for (const deep of ['('.repeat(MAX_NESTING + 1), '-'.repeat(1500), '1^'.repeat(900), '1?1:'.repeat(400), 'max('.repeat(300)])
      expect(parseFormula(deep).problems[0].message).toBe(`the formula is nested more than ${MAX_NESTING} deep`);
  });
});
