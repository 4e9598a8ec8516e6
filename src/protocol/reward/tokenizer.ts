/** Formula text → tokens. */
import type { FormulaProblem, TextRange } from './expression';

export type TokenKind = 'number' | 'name' | 'operator' | 'end';

export interface Token {
  readonly kind: TokenKind;
  /** As written; '' at the end. */
  readonly text: string;
  readonly range: TextRange;
}

const NUMBER = /(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?/y;
const NAME = /[A-Za-z_][A-Za-z0-9_]*/y;
const SPACE = /\s+/y;
/** Longest first, so that `<=` is not read as `<` and `=`. */
const OPERATORS = ['<=', '>=', '==', '!=', '+', '-', '*', '/', '^', '<', '>', '?', ':', '(', ')', ','];

/** What people write from the habit of another language, and what it is here. */
const FOREIGN: ReadonlyArray<readonly [text: string, message: string, suggestion?: string]> = [
  ['**', "a power is written '^' here, not '**'", '^'],
  ['===', "equality is written '==' here", '=='],
  ['!==', "inequality is written '!=' here", '!='],
  ['&&', "there is no '&&'; multiply two comparisons, or nest '?:'", '*'],
  ['||', "there is no '||'; take max(…, …) of two comparisons, or nest '?:'"],
  ['≤', "write '<=' for '≤'", '<='],
  ['≥', "write '>=' for '≥'", '>='],
  ['≠', "write '!=' for '≠'", '!='],
  ['−', "write a plain '-' for '−'", '-'],
  ['–', "write a plain '-' for '–'", '-'],
  ['×', "write '*' for '×'", '*'],
  ['·', "write '*' for '·'", '*'],
  ['÷', "write '/' for '÷'", '/'],
  ['λ', "write 'lambda' for 'λ'", 'lambda'],
  ['%', "there is no '%'; write a share as a number between 0 and 1"],
  ['.', 'there is no property access; names are single words'],
  ['[', 'there are no lists; names are single words'],
  ['=', "a formula assigns nothing; equality is written '=='", '=='],
  ['!', "there is no '!'; compare with '== 0'"],
];

function match(pattern: RegExp, text: string, at: number): string | undefined {
  pattern.lastIndex = at;
  return pattern.exec(text)?.[0];
}

/** Tokens of a formula, the last of kind 'end'; or the first character sequence that is none. */
export function tokenize(text: string): { tokens: Token[]; problem?: FormulaProblem } {
  const tokens: Token[] = [];
  let at = 0;
  while (at < text.length) {
    const space = match(SPACE, text, at);
    if (space !== undefined) {
      at += space.length;
      continue;
    }
    const foreign = FOREIGN.find(([f]) => text.startsWith(f, at));
    const operator = OPERATORS.find((o) => text.startsWith(o, at));
    const number = match(NUMBER, text, at);
    // '**' begins with '*', but '.5' is a number and '==' an operator: the longer reading wins.
    if (foreign && number === undefined && foreign[0].length > (operator?.length ?? 0)) {
      const [foreignText, message, suggestion] = foreign;
      return { tokens, problem: { message, range: { start: at, end: at + foreignText.length }, ...(suggestion ? { suggestion } : {}) } };
    }
    const name = match(NAME, text, at);
    const found = number ?? name ?? operator;
    if (found === undefined) {
      const character = String.fromCodePoint(text.codePointAt(at)!);
      return { tokens, problem: { message: `unexpected character '${character}'`, range: { start: at, end: at + character.length } } };
    }
    const range = { start: at, end: at + found.length };
    if (number !== undefined && !Number.isFinite(Number(number)))
      return { tokens, problem: { message: `the number ${number} is too large`, range } };
    tokens.push({ kind: number !== undefined ? 'number' : name !== undefined ? 'name' : 'operator', text: found, range });
    at += found.length;
  }
  tokens.push({ kind: 'end', text: '', range: { start: text.length, end: text.length } });
  return { tokens };
}
