/** CumSum and Trilu: running sums along an axis, and the triangles of matrices. */
import { UserError } from '../errors';
import { attr } from '../onnx/model';
import { normalizeAxis } from './axes';
import { freezeAxes } from './channel-axes';
import { passChannels, sameAsFirst } from './elementwise-support';
import { foldable } from './folding';
import type { Operator } from './operator';

const cumSum: Operator = {
  opTypes: ['CumSum'],
  infer: sameAsFirst,
  gradient({ b, node, inputs }, [dy]) {
    const [, axis] = inputs;
    if (!dy || !axis) return [undefined];
    // Each element stands in all sums that follow it: the sums of the gradients from the other end.
    const reverse = attr.int(node, 'reverse', 0) === 1 ? 0 : 1;
    return [b.op('CumSum', [dy, axis], { reverse, exclusive: attr.int(node, 'exclusive', 0) }, { types: [dy] })];
  },
  channels(context) {
    const rank = context.inputs[0]?.shape?.length ?? 0;
    const axis = foldable(context.inputs[1])?.[0];
    freezeAxes(context, 'adds each to those after it', axis === undefined || rank === 0 ? undefined : [normalizeAxis(axis, rank)]);
    passChannels(context);
  },
};

/** One triangle of the last two axes; zeros elsewhere. */
const trilu: Operator = {
  opTypes: ['Trilu'],
  infer(context) {
    const shape = context.inputs[0]?.shape;
    if (shape && shape.length < 2) throw new UserError(`its input has the shape [${shape.join(', ')}], which is no matrix`);
    return sameAsFirst(context);
  },
  gradient({ b, node, inputs }, [dy]) {
    return [dy && b.op('Trilu', [dy, inputs[1]], { upper: attr.int(node, 'upper', 1) }, { types: [dy] })];
  },
  channels(context) {
    const rank = context.inputs[0]?.shape?.length ?? 0;
    freezeAxes(context, 'keeps them by their number', [rank - 2, rank - 1]);
    passChannels(context);
  },
};

export const cumulatives: readonly Operator[] = [cumSum, trilu];
