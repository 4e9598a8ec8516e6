/** The reward language's syntax tree: plain data, every node with the characters it was read from. */

/** Characters [start, end) of the formula's text, counted in UTF-16 code units as editors do. */
export interface TextRange {
  readonly start: number;
  readonly end: number;
}

export type BinaryOperator = '+' | '-' | '*' | '/' | '^' | '<' | '<=' | '>' | '>=' | '==' | '!=';

export interface NumberExpression {
  readonly kind: 'number';
  readonly value: number;
  readonly range: TextRange;
}

export interface NameExpression {
  readonly kind: 'name';
  readonly name: string;
  readonly range: TextRange;
}

export interface NegationExpression {
  readonly kind: 'negation';
  readonly operand: Expression;
  readonly range: TextRange;
}

export interface BinaryExpression {
  readonly kind: 'binary';
  readonly operator: BinaryOperator;
  readonly operatorRange: TextRange;
  readonly left: Expression;
  readonly right: Expression;
  readonly range: TextRange;
}

/** `test ? then : otherwise`; the branch not taken is not evaluated. */
export interface ConditionalExpression {
  readonly kind: 'conditional';
  readonly test: Expression;
  readonly then: Expression;
  readonly otherwise: Expression;
  readonly range: TextRange;
}

export interface CallExpression {
  readonly kind: 'call';
  readonly function: string;
  readonly functionRange: TextRange;
  readonly arguments: readonly Expression[];
  readonly range: TextRange;
}

/** The range of an expression in parentheses includes them. */
export type Expression = NumberExpression | NameExpression | NegationExpression | BinaryExpression | ConditionalExpression | CallExpression;

/** What is wrong with a formula, and where. */
export interface FormulaProblem {
  readonly message: string;
  readonly range: TextRange;
  /** What to write instead, where that is known; it would replace the range. */
  readonly suggestion?: string;
}

/** The expressions directly inside one. */
export function childrenOf(expression: Expression): readonly Expression[] {
  switch (expression.kind) {
    case 'number':
    case 'name':
      return [];
    case 'negation':
      return [expression.operand];
    case 'binary':
      return [expression.left, expression.right];
    case 'conditional':
      return [expression.test, expression.then, expression.otherwise];
    case 'call':
      return expression.arguments;
  }
}

/** Names an expression uses, each once, in the order they are written. */
export function namesUsed(expression: Expression): string[] {
  const names = new Set<string>();
  const visit = (e: Expression): void => {
    if (e.kind === 'name') names.add(e.name);
    for (const child of childrenOf(e)) visit(child);
  };
  visit(expression);
  return [...names];
}
