/** Channels of matrix products: what Gemm and MatMul share. */
import { isInitializer, nodeLabel } from './channel-axes';
import type { AxisAtoms, ChannelContext } from './operator';

/** One operand of a matrix product. */
export interface Operand {
  readonly input: number;
  /** The axis that is summed over. */
  readonly inner: number;
  /** The axis that becomes one of the output's; undefined for a vector. */
  readonly outer?: number;
}

/**
 * Couples the two axes that are summed over: without a channel of the one, its partner has nothing to meet. On a weight they are
 * the consumer axis, and the other axis is the producer of the output's channels.
 */
export function contractChannels(context: ChannelContext, left: Operand, right: Operand): { left: AxisAtoms; right: AxisAtoms } {
  const outer = (operand: Operand): AxisAtoms => {
    const weight = isInitializer(context, operand.input);
    if (weight) context.role(operand.input, operand.inner, 'consumer');
    if (operand.outer === undefined) return null;
    if (weight) context.role(operand.input, operand.outer, 'producer');
    return context.atoms(operand.input, operand.outer);
  };
  const [a, b] = [context.atoms(left.input, left.inner), context.atoms(right.input, right.inner)];
  if (a && b) context.couple(a, b);
  else context.freeze(a ?? b, `${nodeLabel(context)} sums over them together with a value whose channels cannot be removed`);
  return { left: outer(left), right: outer(right) };
}
