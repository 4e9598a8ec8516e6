/** How tightly operators of the reward language bind: what the parser reads by, and the printer sets parentheses by. */
import type { BinaryOperator } from './expression';

export const CONDITIONAL = 1;
export const COMPARISON = 2;
export const NEGATION = 5;
export const POWER = 6;

export const BINARY: Readonly<Record<BinaryOperator, number>> = {
  '<': COMPARISON,
  '<=': COMPARISON,
  '>': COMPARISON,
  '>=': COMPARISON,
  '==': COMPARISON,
  '!=': COMPARISON,
  '+': 3,
  '-': 3,
  '*': 4,
  '/': 4,
  '^': POWER,
};
