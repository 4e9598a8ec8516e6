/** The sliding windows of convolution and pooling: attributes of a node, output lengths, and where windows lie. */
import { UserError } from '../errors';
import { attr, type Dim, type Node, type Shape } from '../onnx/model';

/** What a node says of its windows; every list has one entry for each spatial axis. */
export interface WindowAttributes {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  /** Zeros before and after; undefined where they follow from the input's length (auto_pad SAME_UPPER or SAME_LOWER). */
  readonly pads?: { readonly before: readonly number[]; readonly after: readonly number[] };
  readonly autoPad: string;
  /** Round output lengths up (pooling only). */
  readonly ceil: boolean;
}

/** The same, for an input whose lengths are known. */
export interface Window extends WindowAttributes {
  readonly pads: { readonly before: readonly number[]; readonly after: readonly number[] };
  readonly input: readonly number[];
  readonly output: readonly number[];
}

/**
 * Reads kernel_shape, strides, dilations, pads, auto_pad and ceil_mode.
 * @param kernel what kernel_shape stands for where absent (a convolution's weight says it)
 * @throws UserError where an attribute has the wrong length or an impossible value
 */
export function windowAttributes(node: Node, spatialRank: number, kernel?: readonly number[]): WindowAttributes {
  const list = (name: string, fallback: readonly number[], length: number, least: number): readonly number[] => {
    const values = attr.ints(node, name);
    if (!values || values.length === 0) return fallback;
    if (values.length !== length || values.some((v) => v < least))
      throw new UserError(`the attribute ${name} is [${values.join(', ')}] where ${length} numbers of at least ${least} belong`);
    return values;
  };
  const ones = Array.from({ length: spatialRank }, () => 1);
  const shape = list('kernel_shape', kernel ?? [], spatialRank, 1);
  if (shape.length !== spatialRank) throw new UserError('the attribute kernel_shape is missing');
  if (kernel && shape.some((k, i) => k !== kernel[i]))
    throw new UserError(`the attribute kernel_shape is [${shape.join(', ')}], but the weight's kernel is [${kernel.join(', ')}]`);
  const autoPad = attr.string(node, 'auto_pad', 'NOTSET');
  if (!['NOTSET', 'VALID', 'SAME_UPPER', 'SAME_LOWER'].includes(autoPad))
    throw new UserError(`the attribute auto_pad is '${autoPad}'`, 'It may be NOTSET, VALID, SAME_UPPER or SAME_LOWER.');
  const zeros = Array.from({ length: 2 * spatialRank }, () => 0);
  const flat = autoPad === 'NOTSET' ? list('pads', zeros, 2 * spatialRank, 0) : zeros;
  return {
    kernel: shape,
    strides: list('strides', ones, spatialRank, 1),
    dilations: list('dilations', ones, spatialRank, 1),
    pads: autoPad.startsWith('SAME') ? undefined : { before: flat.slice(0, spatialRank), after: flat.slice(spatialRank) },
    autoPad,
    ceil: attr.int(node, 'ceil_mode', 0) === 1,
  };
}

/** Reach of a kernel with gaps: from its first to its last element. */
export const reach = ({ kernel, dilations }: Pick<WindowAttributes, 'kernel' | 'dilations'>): number[] =>
  kernel.map((k, i) => dilations[i] * (k - 1) + 1);

/** Output lengths along the spatial axes. A symbolic length passes through where it does not change, and becomes unknown ('') elsewhere. */
export function outputLengths(w: WindowAttributes, spatial: Shape): Dim[] {
  return spatial.map((length, i): Dim => {
    const stride = w.strides[i];
    const span = reach(w)[i];
    if (!w.pads) {
      if (typeof length === 'string') return stride === 1 ? length : '';
      return Math.ceil(length / stride);
    }
    const pads = w.pads.before[i] + w.pads.after[i];
    if (typeof length === 'string') return stride === 1 && pads === span - 1 ? length : '';
    const room = length + pads - span;
    if (room < 0)
      throw new UserError(`its window of ${span} does not fit into the input's length of ${length} with ${pads} zeros of padding`);
    if (!w.ceil) return Math.floor(room / stride) + 1;
    // A window rounded up into being must still begin inside the input or the padding before it.
    const count = Math.ceil(room / stride) + 1;
    return (count - 1) * stride >= length + w.pads.before[i] ? count - 1 : count;
  });
}

/** The windows over an input of known lengths, automatic padding resolved. */
export function resolveWindow(w: WindowAttributes, spatial: readonly number[]): Window {
  const output = outputLengths(w, spatial) as number[];
  const pads = w.pads ?? samePads(w, spatial, output);
  return { ...w, pads, input: spatial, output };
}

/** Automatic padding: as much as the last window needs, the odd one after (SAME_UPPER) or before (SAME_LOWER). */
function samePads(w: WindowAttributes, spatial: readonly number[], output: readonly number[]): Window['pads'] {
  const spans = reach(w);
  const total = spatial.map((length, i) => Math.max(0, (output[i] - 1) * w.strides[i] + spans[i] - length));
  const smaller = total.map((t) => Math.floor(t / 2));
  const larger = total.map((t, i) => t - smaller[i]);
  return w.autoPad === 'SAME_UPPER' ? { before: smaller, after: larger } : { before: larger, after: smaller };
}

/** True where one input element can lie in two windows. */
export const overlaps = (w: WindowAttributes): boolean => reach(w).some((span, i) => span > w.strides[i]);

/** How many input lengths lie behind the last window (padding after included): what no window reaches. Negative where ceil_mode made one reach out. */
export const leftOver = (w: Window): number[] => {
  const spans = reach(w);
  return w.input.map((length, i) => length + w.pads.before[i] + w.pads.after[i] - ((w.output[i] - 1) * w.strides[i] + spans[i]));
};

/** All positions inside a box, the last axis fastest: the offsets of a kernel. */
export function positions(lengths: readonly number[]): number[][] {
  return lengths.reduce<number[][]>((all, length) => all.flatMap((p) => Array.from({ length }, (_, i) => [...p, i])), [[]]);
}
