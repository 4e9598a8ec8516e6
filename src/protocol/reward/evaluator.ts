/**
 * The value of a formula.
 *
 * Every intermediate result must be a finite number: 1 / 0, log(0), sqrt(-1) and overflow are reported, naming the innermost
 * sub-expression, because an agent that is paid NaN or infinity learns nothing and never recovers. `?:` evaluates only the branch it
 * takes, so a formula can guard itself: `flopsHigh > flopsLow ? … / (flopsHigh - flopsLow) : 0`. Comparisons give 1 or 0; any number but 0 is true.
 */
import type { BinaryOperator, Expression, FormulaProblem } from './expression';
import { REWARD_FUNCTIONS, REWARD_NAMES } from './names';
import { printExpression } from './printer';

/** Values by name; undefined or absent: not measured, not set. */
export type RewardValues = Readonly<Record<string, number | undefined>>;

export type RewardResult =
  | { readonly value: number; readonly problem?: undefined }
  | { readonly value?: undefined; readonly problem: FormulaProblem };

/** Ends an evaluation at its first problem; never leaves this file. */
class EvaluationProblem extends Error {
  constructor(readonly problem: FormulaProblem) {
    super(problem.message);
  }
}

function binary(operator: BinaryOperator, left: number, right: number): number {
  switch (operator) {
    case '+':
      return left + right;
    case '-':
      return left - right;
    case '*':
      return left * right;
    case '/':
      return left / right;
    case '^':
      return left ** right;
    case '<':
      return left < right ? 1 : 0;
    case '<=':
      return left <= right ? 1 : 0;
    case '>':
      return left > right ? 1 : 0;
    case '>=':
      return left >= right ? 1 : 0;
    case '==':
      return left === right ? 1 : 0;
    case '!=':
      return left !== right ? 1 : 0;
  }
}

function missing(name: string): string {
  const kind = REWARD_NAMES.get(name)?.kind;
  if (kind === 'measure' || kind === 'original') return `'${name}' was not measured`;
  return `'${name}' has no value here; set it in the config`;
}

function visit(e: Expression, values: RewardValues): number {
  const result = compute(e, values);
  if (Number.isFinite(result)) return result;
  const text = printExpression(e);
  const what = Number.isNaN(result) ? 'is not a number' : 'is infinite';
  const cause = e.kind === 'binary' && e.operator === '/' && visit(e.right, values) === 0 ? ' (division by zero)' : '';
  throw new EvaluationProblem({ message: `'${text}' ${what}${cause}`, range: e.range });
}

function compute(e: Expression, values: RewardValues): number {
  switch (e.kind) {
    case 'number':
      return e.value;
    case 'name': {
      const value = Object.hasOwn(values, e.name) ? values[e.name] : undefined;
      if (value === undefined) throw new EvaluationProblem({ message: missing(e.name), range: e.range });
      return value;
    }
    case 'negation':
      return -visit(e.operand, values);
    case 'binary':
      return binary(e.operator, visit(e.left, values), visit(e.right, values));
    case 'conditional':
      return visit(e.test, values) !== 0 ? visit(e.then, values) : visit(e.otherwise, values);
    case 'call': {
      const known = REWARD_FUNCTIONS.get(e.function);
      if (!known) throw new EvaluationProblem({ message: `unknown function '${e.function}'`, range: e.functionRange });
      return known.apply(...e.arguments.map((argument) => visit(argument, values)));
    }
  }
}

/** Evaluates a parsed formula; a result that is not finite, or a value that is absent, is a problem and never a number. */
export function evaluateExpression(expression: Expression, values: RewardValues): RewardResult {
  try {
    return { value: visit(expression, values) };
  } catch (e) {
    if (e instanceof EvaluationProblem) return { problem: e.problem };
    throw e;
  }
}
