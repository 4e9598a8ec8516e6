/** What elementwise operators of one input share. */
import type { ChannelContext, InferContext, ValueType } from './operator';

/** The output has the type and shape of the first input. */
export const sameAsFirst = ({ inputs }: InferContext): ValueType[] => [{ type: inputs[0]?.type ?? 'float32', shape: inputs[0]?.shape }];

/** Every axis keeps its channels. */
export function passChannels(context: ChannelContext): void {
  const rank = context.outputs[0].shape?.length ?? 0;
  for (let axis = 0; axis < rank; axis++) context.setOutput(0, axis, context.atoms(0, axis));
}
