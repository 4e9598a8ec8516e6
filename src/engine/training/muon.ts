/**
 * Muon: steps of SGD with momentum whose update, seen as a matrix [filters, inputs·kernel], is made nearly orthogonal before it is taken
 * (Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"). All directions in which a layer can change then move
 * alike, not only the few that dominate the gradient.
 *
 * Steps are relative: a weight moves by a share of its own norm (You, Gitman, Ginsburg 2017, "Large Batch Training of Convolutional
 * Networks", §4, the trust ratio), so one rate suits layers and networks of any scale.
 */
import type { GraphBuilder, Value } from '../ops/builder';
import { emit, reshape, total } from './emit';

/** Coefficients of the quintic a·X + b·XXᵀX + c·(XXᵀ)²X, which drives singular values in (0, 1] to about 0.7–1.2 in few steps (ibid.). */
const [A, B, C] = [3.4445, -4.775, 2.0315];
const ITERATIONS = 5;
/** Keeps a gradient of zeros from becoming NaN. */
const TINY = 1e-12;

const norm = (b: GraphBuilder, value: Value): Value => emit(b, 'Sqrt', [total(b, emit(b, 'Mul', [value, value], value.shape))], []);

/**
 * The nearest matrix with singular values near 1.
 * @param update flat, [rows · columns]
 * @returns the same shape
 */
export function orthogonalized(b: GraphBuilder, update: Value, rows: number, columns: number): Value {
  const tall = rows > columns;
  const [m, n] = tall ? [columns, rows] : [rows, columns];
  const transposed = (value: Value, shape: readonly number[]): Value => emit(b, 'Transpose', [value], shape, { perm: [1, 0] });
  const scaled = (value: Value, factor: number): Value => emit(b, 'Mul', [value, b.scalar(factor)], value.shape);
  const length = emit(b, 'Add', [norm(b, update), b.scalar(TINY)], []);
  const matrix = reshape(b, emit(b, 'Div', [update, length], update.shape), [rows, columns]);
  let x = tall ? transposed(matrix, [m, n]) : matrix;
  for (let i = 0; i < ITERATIONS; i++) {
    const gram = emit(b, 'MatMul', [x, transposed(x, [n, m])], [m, m]);
    const square = emit(b, 'MatMul', [gram, gram], [m, m]);
    const mixed = emit(b, 'Add', [scaled(gram, B), scaled(square, C)], [m, m]);
    x = emit(b, 'Add', [scaled(x, A), emit(b, 'MatMul', [mixed, x], [m, n])], [m, n]);
  }
  return reshape(b, tall ? transposed(x, [rows, columns]) : x, update.shape);
}

/**
 * The next weight and velocity: v ← μ·v + g, u = orthogonalised(g + μ·v), w ← w − rate·‖w‖/‖u‖·u.
 * @param parts all flat
 * @param rate share of its norm that the weight moves, a scalar
 */
export function emitMuonStep(
  b: GraphBuilder,
  { weight, velocity, gradient }: { readonly weight: Value; readonly velocity: Value; readonly gradient: Value },
  [rows, columns]: readonly [number, number],
  rate: Value,
  momentum: number,
): { weight: Value; velocity: Value } {
  const op = (type: string, a: Value, c: Value): Value => emit(b, type, [a, c], weight.shape);
  const next = op('Add', op('Mul', velocity, b.scalar(momentum)), gradient);
  const ahead = op('Add', op('Mul', next, b.scalar(momentum)), gradient);
  const update = orthogonalized(b, ahead, rows, columns);
  const length = emit(b, 'Add', [norm(b, update), b.scalar(TINY)], []);
  const factor = emit(b, 'Mul', [rate, emit(b, 'Div', [norm(b, weight), length], [])], []);
  return { weight: op('Sub', weight, op('Mul', update, factor)), velocity: next };
}
