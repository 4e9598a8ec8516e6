/** How operators pass channels from axis to axis: what several families share. */
import type { AxisAtoms, ChannelContext, Operator } from './operator';

/** 'Pad "/layer1/Pad"': how a reason names the node. */
export const nodeLabel = ({ node }: Pick<ChannelContext, 'node'>): string => `${node.opType} '${node.name || node.outputs[0]}'`;

/** True where the input is an initializer of the graph (not a constant that follows from shapes: that has no weights to cut). */
export const isInitializer = (context: ChannelContext, input: number): boolean =>
  context.inputs[input]?.value !== undefined && context.inputs[input].value.name === context.node.inputs[input];

/** Channels along an axis of an input, without asking an initializer for new ones. */
export const carried = (context: ChannelContext, input: number, axis: number): AxisAtoms =>
  isInitializer(context, input) ? null : context.atoms(input, axis);

/** No axis longer than this has its channels followed: real models stay far below, and damaged files ask for any length. */
export const LONGEST_AXIS = 2 ** 20;

export interface AxisMember {
  readonly input: number;
  readonly axis: number;
}

/**
 * Axes of one length that must lose the same channels: couples them and returns their atoms. Initializers take part as parameters
 * where any other member carries channels. Where a member that is no initializer carries none, the channels of the others are frozen.
 */
export function joinAxes(context: ChannelContext, members: readonly AxisMember[]): AxisAtoms {
  let first = null as AxisAtoms;
  let missing = false;
  const join = (atoms: Int32Array): void => {
    if (!first) first = atoms;
    else if (first.length === atoms.length) context.couple(first, atoms);
    else missing = true;
  };
  for (const { input, axis } of members) {
    if (isInitializer(context, input)) continue;
    const atoms = context.atoms(input, axis);
    if (atoms) join(atoms);
    else missing = true;
  }
  if (!first) return null;
  for (const { input, axis } of members) {
    if (!isInitializer(context, input)) continue;
    const atoms = context.atoms(input, axis);
    if (!atoms) {
      missing = true;
      continue;
    }
    context.role(input, axis, 'parameter');
    join(atoms);
  }
  if (missing) context.freeze(first, `${nodeLabel(context)} combines them with a value whose channels cannot be removed`);
  return first;
}

/** Passes single axes of input 0 on: output axis `to[i]` has the channels of input axis `from[i]`. */
export function passAxes(context: ChannelContext, pairs: ReadonlyArray<readonly [from: number, to: number]>, output = 0): void {
  for (const [from, to] of pairs) context.setOutput(output, to, context.atoms(0, from));
}

/** Freezes what input 0 (or `input`) carries along some of its axes; all of them where `axes` is absent. */
export function freezeAxes(context: ChannelContext, reason: string, axes?: readonly number[], input = 0): void {
  const rank = context.inputs[input]?.shape?.length ?? 0;
  for (const axis of axes ?? Array.from({ length: rank }, (_, i) => i)) {
    const atoms = carried(context, input, axis);
    if (atoms) context.freeze(atoms, `${nodeLabel(context)} ${reason}`);
  }
}

/** For an operator through which no channels can be followed: they stay, for the reason given. */
export const keepsChannels = (reason: string): Required<Pick<Operator, 'keepsChannels' | 'channels'>> => ({
  keepsChannels: reason,
  channels: (context) => {
    for (let input = 0; input < context.inputs.length; input++) freezeAxes(context, reason, undefined, input);
  },
});
