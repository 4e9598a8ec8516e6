/** Transpose: axes in another order; channels go with their axis. */
import { UserError } from '../errors';
import { attr } from '../onnx/model';
import { passAxes } from './channel-axes';
import { foldable, foldedTensor, positions, stridesOf } from './folding';
import type { InferContext, Operator } from './operator';

/** Input axis of each output axis; reversed order where the node gives none. */
function permutation({ node }: Pick<InferContext, 'node'>, rank: number): number[] {
  const given = attr.ints(node, 'perm');
  if (!given) return Array.from({ length: rank }, (_, i) => rank - 1 - i);
  if (given.length !== rank || new Set(given).size !== rank || given.some((a) => a < 0 || a >= rank))
    throw new UserError(`the permutation [${given.join(', ')}] does not order ${rank} axes`);
  return given;
}

const transpose: Operator = {
  opTypes: ['Transpose'],
  infer(context) {
    const input = context.inputs[0];
    const type = input?.type ?? 'float32';
    if (!input?.shape) return [{ type }];
    const perm = permutation(context, input.shape.length);
    const shape = perm.map((axis) => input.shape![axis]);
    const numbers = foldable(input);
    if (!numbers || !input.value) return [{ type, shape }];
    const strides = stridesOf(input.value.dims);
    const dims = perm.map((axis) => input.value!.dims[axis]);
    const order = positions(
      dims,
      perm.map((axis) => strides[axis]),
    );
    return [
      {
        type,
        shape,
        value: foldedTensor(
          type,
          dims,
          order.map((p) => numbers[p]),
        ),
      },
    ];
  },
  gradient(context, [dy]) {
    const perm = permutation(context, context.inputs[0]!.shape.length);
    const inverse = perm.map((_, axis) => perm.indexOf(axis));
    return [dy && context.b.op('Transpose', [dy], { perm: inverse })];
  },
  channels(context) {
    const rank = context.inputs[0]?.shape?.length ?? 0;
    passAxes(
      context,
      permutation(context, rank).map((from, to) => [from, to] as const),
    );
  },
};

export const transposes: readonly Operator[] = [transpose];
