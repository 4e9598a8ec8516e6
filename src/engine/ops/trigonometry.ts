/** Trigonometric and hyperbolic functions of one value, elementwise; angles in radians. */
import type { GraphBuilder, Value } from './builder';
import { elementwise, oneMinus, shifted, times } from './elementwise-support';
import type { Operator } from './operator';

const square = (b: GraphBuilder, x: Value): Value => times(b, x, x);
const root = (b: GraphBuilder, x: Value): Value => b.op('Sqrt', [x]);

export const trigonometry: readonly Operator[] = [
  elementwise('Sin', ({ b }, dy, x) => times(b, dy, b.op('Cos', [x])), Math.sin),
  elementwise('Cos', ({ b }, dy, x) => b.op('Neg', [times(b, dy, b.op('Sin', [x]))]), Math.cos),
  // tan' = 1 + tan²
  elementwise('Tan', ({ b }, dy, _, y) => times(b, dy, shifted(b, square(b, y), 1)), Math.tan),
  elementwise('Asin', ({ b }, dy, x) => b.op('Div', [dy, root(b, oneMinus(b, square(b, x)))])),
  elementwise('Acos', ({ b }, dy, x) => b.op('Neg', [b.op('Div', [dy, root(b, oneMinus(b, square(b, x)))])])),
  elementwise('Atan', ({ b }, dy, x) => b.op('Div', [dy, shifted(b, square(b, x), 1)])),
  elementwise('Sinh', ({ b }, dy, x) => times(b, dy, b.op('Cosh', [x]))),
  elementwise('Cosh', ({ b }, dy, x) => times(b, dy, b.op('Sinh', [x]))),
  elementwise('Asinh', ({ b }, dy, x) => b.op('Div', [dy, root(b, shifted(b, square(b, x), 1))])),
  elementwise('Acosh', ({ b }, dy, x) => b.op('Div', [dy, root(b, shifted(b, square(b, x), -1))])),
  elementwise('Atanh', ({ b }, dy, x) => b.op('Div', [dy, oneMinus(b, square(b, x))])),
];
