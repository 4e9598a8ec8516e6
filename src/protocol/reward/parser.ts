/**
 * Tokens → syntax tree: a precedence-climbing (Pratt) parser.
 *
 * From loosest to tightest: `? :` (right), comparisons (may not be chained), `+ -` (left), `* /` (left), unary `-`, `^` (right).
 * So `-a ^ 2` is −(a²), as on paper, and `2 ^ -1` is one half.
 */
import { nearestName } from '../nearest-name';
import { type BinaryOperator, childrenOf, type Expression, type FormulaProblem, type TextRange } from './expression';
import { REWARD_FUNCTIONS, REWARD_NAMES } from './names';
import { BINARY, COMPARISON, CONDITIONAL, NEGATION, POWER } from './precedence';
import { type Token, tokenize } from './tokenizer';

/** Longest formula, in characters, and deepest nesting: what a person writes is far below, and the walk over the tree never runs out of stack. */
export const MAX_FORMULA_LENGTH = 2000;
export const MAX_NESTING = 100;

const BINDING: Readonly<Record<string, number>> = { ...BINARY, '?': CONDITIONAL };

/** Ends the reading of a formula at its first syntax error; never leaves this file. */
class SyntaxProblem extends Error {
  constructor(readonly problem: FormulaProblem) {
    super(problem.message);
  }
}

function describe(token: Token): string {
  return token.kind === 'end' ? 'the end of the formula' : `'${token.text}'`;
}

class Parser {
  private position = 0;
  private depth = 0;

  constructor(private readonly tokens: readonly Token[]) {}

  parse(): Expression {
    if (this.peek().kind === 'end') this.fail('the formula is empty', this.peek().range);
    const expression = this.expression(0);
    const rest = this.peek();
    if (rest.text === ')') this.fail("')' without a matching '('", rest.range);
    if (rest.kind !== 'end') this.fail(`expected an operator before ${describe(rest)}`, rest.range);
    return expression;
  }

  private peek(): Token {
    return this.tokens[this.position];
  }

  private next(): Token {
    const token = this.tokens[this.position];
    if (token.kind !== 'end') this.position++;
    return token;
  }

  private fail(message: string, range: TextRange): never {
    throw new SyntaxProblem({ message, range });
  }

  /** Reads operators that bind more tightly than `binding`. */
  private expression(binding: number): Expression {
    if (++this.depth > MAX_NESTING) this.fail(`the formula is nested more than ${MAX_NESTING} deep`, this.peek().range);
    let left = this.prefix();
    for (;;) {
      const token = this.peek();
      const power = token.kind === 'operator' ? BINDING[token.text] : undefined;
      if (power === undefined || power <= binding) break;
      this.next();
      left = token.text === '?' ? this.conditional(left, token) : this.binary(left, token, power);
    }
    this.depth--;
    return left;
  }

  private binary(left: Expression, token: Token, power: number): Expression {
    // `^` groups to the right: its right side may hold another `^`. A unary minus there is a prefix, so it is read anyway.
    const right = this.expression(power === POWER ? power - 1 : power);
    const expression: Expression = {
      kind: 'binary',
      operator: token.text as BinaryOperator,
      operatorRange: token.range,
      left,
      right,
      range: { start: left.range.start, end: right.range.end },
    };
    const after = this.peek();
    if (power === COMPARISON && after.kind === 'operator' && BINDING[after.text] === COMPARISON)
      this.fail("comparisons cannot be chained; use '?:' or multiply two comparisons", after.range);
    return expression;
  }

  private conditional(test: Expression, question: Token): Expression {
    const then = this.expression(0);
    const colon = this.peek();
    if (colon.text !== ':') this.fail(`'?' needs a ':' after its first choice, found ${describe(colon)}`, question.range);
    this.next();
    const otherwise = this.expression(0);
    return { kind: 'conditional', test, then, otherwise, range: { start: test.range.start, end: otherwise.range.end } };
  }

  private prefix(): Expression {
    const token = this.next();
    switch (token.kind) {
      case 'number':
        return { kind: 'number', value: Number(token.text), range: token.range };
      case 'name':
        return this.peek().text === '(' ? this.call(token) : { kind: 'name', name: token.text, range: token.range };
      case 'operator':
        if (token.text === '-') {
          const operand = this.expression(NEGATION);
          return { kind: 'negation', operand, range: { start: token.range.start, end: operand.range.end } };
        }
        if (token.text === '(') return this.parenthesized(token);
    }
    if (token.text === '+') this.fail("there is no unary '+'; leave it out", token.range);
    return this.fail(`expected a number, a name or '(', found ${describe(token)}`, token.range);
  }

  private parenthesized(open: Token): Expression {
    const inner = this.expression(0);
    const close = this.peek();
    if (close.text !== ')') {
      if (close.kind === 'end') this.fail("'(' is never closed", open.range);
      this.fail(`expected ')' before ${describe(close)}`, close.range);
    }
    this.next();
    return { ...inner, range: { start: open.range.start, end: close.range.end } };
  }

  private call(name: Token): Expression {
    const open = this.next();
    const values: Expression[] = [];
    if (this.peek().text !== ')') {
      values.push(this.expression(0));
      while (this.peek().text === ',') {
        this.next();
        values.push(this.expression(0));
      }
    }
    const close = this.peek();
    if (close.text !== ')') {
      if (close.kind === 'end') this.fail("'(' is never closed", open.range);
      this.fail(`expected ',' or ')' before ${describe(close)}`, close.range);
    }
    this.next();
    return {
      kind: 'call',
      function: name.text,
      functionRange: name.range,
      arguments: values,
      range: { start: name.range.start, end: close.range.end },
    };
  }
}

function arityText(min: number, max: number): string {
  if (min === max) return `${min} argument${min === 1 ? '' : 's'}`;
  return `at least ${min} argument${min === 1 ? '' : 's'}`;
}

function unknown(what: string, name: string, range: TextRange, known: Iterable<string>): FormulaProblem {
  const suggestion = nearestName(name, known);
  return suggestion === undefined
    ? { message: `unknown ${what} '${name}'`, range }
    : { message: `unknown ${what} '${name}' (did you mean ${suggestion}?)`, range, suggestion };
}

/** Names and functions that do not exist, and calls with the wrong number of arguments: all of them, in order. */
function checkNames(expression: Expression, constants: ReadonlySet<string>, problems: FormulaProblem[]): void {
  if (expression.kind === 'name' && !REWARD_NAMES.has(expression.name) && !constants.has(expression.name)) {
    if (REWARD_FUNCTIONS.has(expression.name))
      problems.push({ message: `function '${expression.name}' needs its arguments in parentheses`, range: expression.range });
    else problems.push(unknown('name', expression.name, expression.range, [...REWARD_NAMES.keys(), ...constants]));
  }
  if (expression.kind === 'call') {
    const known = REWARD_FUNCTIONS.get(expression.function);
    const count = expression.arguments.length;
    if (!known) {
      if (REWARD_NAMES.has(expression.function) || constants.has(expression.function))
        problems.push({ message: `'${expression.function}' is a value, not a function`, range: expression.functionRange });
      else problems.push(unknown('function', expression.function, expression.functionRange, REWARD_FUNCTIONS.keys()));
    } else if (count < known.minArguments || count > known.maxArguments) {
      problems.push({
        message: `${known.signature} takes ${arityText(known.minArguments, known.maxArguments)}, not ${count}`,
        range: expression.range,
      });
    }
  }
  for (const child of childrenOf(expression)) checkNames(child, constants, problems);
}

export interface ParsedFormula {
  /** Absent where there is any problem. */
  readonly expression?: Expression;
  readonly problems: readonly FormulaProblem[];
}

/**
 * Reads and checks a formula. Never throws: whatever is wrong is in `problems`.
 * @param constants names that the config defines itself
 */
export function parseFormula(text: string, constants: Iterable<string> = []): ParsedFormula {
  if (text.length > MAX_FORMULA_LENGTH) {
    const range = { start: MAX_FORMULA_LENGTH, end: text.length };
    return { problems: [{ message: `the formula is longer than ${MAX_FORMULA_LENGTH} characters`, range }] };
  }
  const { tokens, problem } = tokenize(text);
  if (problem) return { problems: [problem] };
  let expression: Expression;
  try {
    expression = new Parser(tokens).parse();
  } catch (e) {
    if (e instanceof SyntaxProblem) return { problems: [e.problem] };
    throw e;
  }
  const problems: FormulaProblem[] = [];
  checkNames(expression, new Set(constants), problems);
  return problems.length > 0 ? { problems } : { expression, problems };
}
