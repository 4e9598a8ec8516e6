/** Syntax tree → text, with only the parentheses that are needed and one space around operators. */
import type { Expression } from './expression';
import { BINARY, COMPARISON, CONDITIONAL, NEGATION } from './precedence';

const ATOM = 7;

function bindingOf(e: Expression): number {
  if (e.kind === 'conditional') return CONDITIONAL;
  if (e.kind === 'negation') return NEGATION;
  if (e.kind === 'binary') return BINARY[e.operator];
  return ATOM;
}

function print(e: Expression, atLeast: number): string {
  const text = printInner(e);
  return bindingOf(e) < atLeast ? `(${text})` : text;
}

function printInner(e: Expression): string {
  switch (e.kind) {
    case 'number':
      return String(e.value);
    case 'name':
      return e.name;
    case 'negation':
      return `-${print(e.operand, NEGATION)}`;
    case 'binary': {
      const binding = BINARY[e.operator];
      if (e.operator === '^') return `${print(e.left, binding + 1)} ^ ${print(e.right, NEGATION)}`;
      // Left-grouping operators bracket an equal on their right; comparisons on both sides, because they do not chain.
      const left = binding === COMPARISON ? binding + 1 : binding;
      return `${print(e.left, left)} ${e.operator} ${print(e.right, binding + 1)}`;
    }
    case 'conditional':
      return `${print(e.test, CONDITIONAL + 1)} ? ${print(e.then, CONDITIONAL)} : ${print(e.otherwise, CONDITIONAL)}`;
    case 'call':
      return `${e.function}(${e.arguments.map((argument) => print(argument, CONDITIONAL)).join(', ')})`;
  }
}

/** The formula of a tree; parsing it gives the same tree, but for ranges. */
export function printExpression(expression: Expression): string {
  return print(expression, CONDITIONAL);
}
