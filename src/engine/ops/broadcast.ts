/** Numpy broadcasting: shapes, gradients and channels of operators whose inputs are stretched to one shape. */
import { UserError } from '../errors';
import type { Dim, Shape } from '../onnx/model';
import type { GraphBuilder, Value } from './builder';
import { joinAxes } from './channel-axes';
import type { ChannelContext } from './operator';

/**
 * The shape that the inputs are stretched to, aligned at their last axes. Unknown where one of them is.
 * @throws UserError where two lengths contradict each other
 */
export function broadcastShapes(shapes: ReadonlyArray<Shape | undefined>): Shape | undefined {
  if (shapes.some((s) => s === undefined)) return undefined;
  const known = shapes as readonly Shape[];
  const rank = Math.max(0, ...known.map((s) => s.length));
  return Array.from({ length: rank }, (_, axis) => {
    let result: Dim = 1;
    for (const shape of known) {
      const at = axis - (rank - shape.length);
      if (at < 0) continue;
      const d = shape[at];
      if (d === 1 || d === result) continue;
      if (result === 1) result = d;
      else if (typeof d === 'number' && typeof result === 'number')
        throw new UserError(
          `shapes ${known.map((s) => `[${s.join(', ')}]`).join(' and ')} do not fit together: lengths ${result} and ${d} on axis ${axis}`,
        );
      // A named length beside a number above 1 must be that number, or 1; two names may still be one length.
      else if (typeof d === 'number') result = d;
      else if (typeof result === 'string') result = '';
    }
    return result;
  });
}

/** Sums a gradient over the axes along which a value of shape `to` was stretched. */
export function reduceTo(b: GraphBuilder, gradient: Value, to: readonly number[]): Value {
  const lead = gradient.shape.length - to.length;
  const axes = gradient.shape.flatMap((d, axis) => (axis < lead || (to[axis - lead] === 1 && d !== 1) ? [axis] : []));
  const summed = axes.some((axis) => gradient.shape[axis] !== 1)
    ? b.op('ReduceSum', [gradient, b.ints(axes)], { keepdims: lead > 0 ? 0 : 1 })
    : gradient;
  return reshapeTo(b, summed, to);
}

/** The value under another shape of as many elements. */
export const reshapeTo = (b: GraphBuilder, value: Value, shape: readonly number[]): Value =>
  sameShape(value.shape, shape) ? value : b.op('Reshape', [value, b.ints(shape)]);

export const sameShape = (a: readonly number[], c: readonly number[]): boolean => a.length === c.length && a.every((d, i) => d === c[i]);

/**
 * Channels of operators that stretch their inputs: on each axis, the inputs that have it at full length lose the same channels;
 * an axis of length 1, or missing, carries nothing.
 */
export function broadcastChannels(context: ChannelContext): void {
  const shape = context.outputs[0].shape;
  if (!shape) return;
  for (let axis = 0; axis < shape.length; axis++) {
    const members = context.inputs.flatMap((input, i) => {
      const at = axis - (shape.length - (input?.shape?.length ?? 0));
      return input?.shape && at >= 0 && (input.shape[at] !== 1 || shape[axis] === 1) ? [{ input: i, axis: at }] : [];
    });
    context.setOutput(0, axis, joinAxes(context, members));
  }
}
