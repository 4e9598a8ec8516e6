/** Linear maps along single axes, as interpolation and mirrored padding are: y = A·x along an axis. */
import type { GraphBuilder, Value } from './builder';
import { matMul, transpose } from './emit';

/** A matrix in row-major order: what each output position takes from each input position. */
export interface AxisMap {
  readonly rows: number;
  readonly columns: number;
  readonly weights: Float32Array;
}

/** A map from a function that lists, for an output position, input positions with their weights. */
export function axisMap(
  rows: number,
  columns: number,
  taken: (row: number) => ReadonlyArray<readonly [position: number, weight: number]>,
): AxisMap {
  const weights = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) for (const [position, weight] of taken(row)) weights[row * columns + position] += weight;
  return { rows, columns, weights };
}

export const isIdentity = ({ rows, columns, weights }: AxisMap): boolean =>
  rows === columns && weights.every((w, i) => w === (i % (columns + 1) === 0 ? 1 : 0));

/** Aᵀ·dy along an axis of length `rows`: the gradient of y = A·x. */
export function transposedAlong(b: GraphBuilder, dy: Value, axis: number, map: AxisMap): Value {
  if (isIdentity(map)) return dy;
  const last = dy.shape.length - 1;
  const matrix = b.floats(b.fresh('axis_map'), [map.rows, map.columns], map.weights);
  const order = dy.shape.map((_, i) => i);
  [order[axis], order[last]] = [order[last], order[axis]];
  return transpose(b, matMul(b, transpose(b, dy, order), matrix), order);
}
