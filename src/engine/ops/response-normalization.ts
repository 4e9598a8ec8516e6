/** Values divided by the size of their neighbours: LRN across channels (Krizhevsky et al. 2012, section 3.3) and LpNormalization. */
import { UserError } from '../errors';
import { attr } from '../onnx/model';
import { elementCount } from '../onnx/tensor';
import { normalizeAxis } from './axes';
import type { GraphBuilder, Value } from './builder';
import { freezeAxes } from './channel-axes';
import { passChannels, sameAsFirst } from './elementwise-support';
import { binary, reduceSum, reshape, scale } from './emit';
import type { InferContext, Operator } from './operator';

function windowSize({ node }: Pick<InferContext, 'node'>): number {
  const size = attr.int(node, 'size', 0);
  if (size < 1) throw new UserError(`has a window of ${size} channels`);
  return size;
}

/** Sums over windows of channels that reach `before` back and `after` on: [N, C, …] → the same shape. */
function channelWindows(b: GraphBuilder, x: Value, before: number, after: number): Value {
  const [batch, channels, ...spatial] = x.shape;
  const rows = reshape(b, x, [batch, 1, channels, elementCount(spatial)]);
  const length = before + after + 1;
  const ones = b.floats(b.fresh('ones'), [1, 1, length, 1], new Float32Array(length).fill(1));
  const sums = b.op('Conv', [rows, ones], { kernel_shape: [length, 1], pads: [before, 0, after, 0] }, { types: [rows] });
  return reshape(b, sums, x.shape);
}

/** y = x · d^−β with d = bias + α/size · Σ x² over the window of channels around each. */
const lrn: Operator = {
  opTypes: ['LRN'],
  infer(context) {
    windowSize(context);
    const shape = context.inputs[0]?.shape;
    if (shape && shape.length < 2) throw new UserError(`its input has the shape [${shape.join(', ')}], which has no channel axis`);
    return sameAsFirst(context);
  },
  gradient({ node, b, inputs }, [dy]) {
    const x = inputs[0]!;
    if (!dy) return [undefined];
    const size = windowSize({ node });
    const [alpha, beta] = [attr.float(node, 'alpha', 1e-4), attr.float(node, 'beta', 0.75)];
    const [before, after] = [Math.floor((size - 1) / 2), Math.ceil((size - 1) / 2)];
    const squares = channelWindows(b, binary(b, 'Mul', x, x), before, after);
    const d = binary(b, 'Add', scale(b, squares, alpha / size), b.scalar(attr.float(node, 'bias', 1)));
    const power = (exponent: number): Value => b.op('Pow', [d, b.scalar(exponent)]);
    // Each x also stands in the windows of its neighbours, seen from their side.
    const shares = channelWindows(b, binary(b, 'Mul', binary(b, 'Mul', dy, x), power(-beta - 1)), after, before);
    const through = scale(b, binary(b, 'Mul', x, shares), (-2 * alpha * beta) / size);
    return [binary(b, 'Add', binary(b, 'Mul', dy, power(-beta)), through)];
  },
  channels(context) {
    freezeAxes(context, 'divides each by the size of its neighbours, which removing one would change', [1]);
    passChannels(context);
  },
};

const normAxis = ({ node }: Pick<InferContext, 'node'>, rank: number): number => normalizeAxis(attr.int(node, 'axis', -1), rank);

/** y = x / ‖x‖ along one axis, with the norm of order 1 or 2. */
const lpNormalization: Operator = {
  opTypes: ['LpNormalization'],
  infer(context) {
    const rank = context.inputs[0]?.shape?.length;
    if (rank !== undefined) normAxis(context, rank);
    return sameAsFirst(context);
  },
  gradient({ node, b, inputs, outputs }, [dy]) {
    const [x, y] = [inputs[0]!, outputs[0]];
    if (!dy) return [undefined];
    const axes = [normAxis({ node }, x.shape.length)];
    const absolute = attr.int(node, 'p', 2) === 1;
    const size = reduceSum(b, absolute ? b.op('Abs', [x]) : binary(b, 'Mul', x, x), axes, true);
    const direction = absolute ? b.op('Sign', [x]) : y;
    const along = reduceSum(b, binary(b, 'Mul', dy, y), axes, true);
    return [binary(b, 'Div', binary(b, 'Sub', dy, binary(b, 'Mul', direction, along)), absolute ? size : b.op('Sqrt', [size]))];
  },
  channels(context) {
    const rank = context.inputs[0]?.shape?.length ?? 0;
    freezeAxes(context, 'divides them by their common norm, which removing one would change', [normAxis(context, rank)]);
    passChannels(context);
  },
};

export const responseNormalizations: readonly Operator[] = [lrn, lpNormalization];
