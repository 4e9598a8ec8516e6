/**
 * How a reshape moves axes. Row-major order lets the axes before and after be cut into blocks of equal products: within a block one
 * axis stays as it is, several become one (merge), one becomes several (split), or several become several.
 */
import type { Dim, Shape } from '../onnx/model';
import { productOf } from './axes';
import { isInitializer, LONGEST_AXIS, nodeLabel } from './channel-axes';
import type { AxisAtoms, ChannelContext } from './operator';

export interface AxisBlock {
  /** Axes of the shape before, in order; those of length 1 are left out. */
  readonly from: readonly number[];
  /** Axes of the shape after. */
  readonly to: readonly number[];
}

/**
 * The blocks, or undefined where the shapes do not hold equally many elements. From the first unknown length that cannot be told to
 * stay, blocks are cut from the last axis on; what then lies between is one block, of whatever product.
 */
export function axisBlocks(before: Shape, after: Shape): AxisBlock[] | undefined {
  const wide = (shape: Shape): number[] => shape.flatMap((d, axis) => (d === 1 ? [] : [axis]));
  const [a, c] = [wide(before), wide(after)];
  const front = blocksFrom(before, after, a, c);
  const [i, j] = [front.flatMap((b) => b.from).length, front.flatMap((b) => b.to).length];
  const [restA, restC] = [a.slice(i), c.slice(j)];
  if (restA.length === 0 && restC.length === 0) return front;
  const isOpen = restA.some((axis) => typeof before[axis] === 'string') || restC.some((axis) => typeof after[axis] === 'string');
  if (!isOpen) return undefined;
  const back = blocksFrom(before, after, restA.toReversed(), restC.toReversed());
  const middle = {
    from: restA.slice(0, restA.length - back.flatMap((b) => b.from).length),
    to: restC.slice(0, restC.length - back.flatMap((b) => b.to).length),
  };
  const turned = back.toReversed().map(({ from, to }) => ({ from: from.toReversed(), to: to.toReversed() }));
  if (middle.from.length === 0 && middle.to.length === 0) return [...front, ...turned];
  if (middle.from.length === 0 || middle.to.length === 0) return undefined;
  return [...front, middle, ...turned];
}

/** The blocks at the beginning of two lists of axes, as far as lengths tell. */
function blocksFrom(before: Shape, after: Shape, a: readonly number[], c: readonly number[]): AxisBlock[] {
  const blocks: AxisBlock[] = [];
  let [i, j] = [0, 0];
  while (i < a.length && j < c.length) {
    const [x, y] = [before[a[i]], after[c[j]]];
    if (typeof x === 'string' || typeof y === 'string') {
      const rest = (shape: Shape, axes: readonly number[], from: number): Shape => axes.slice(from + 1).map((axis) => shape[axis]);
      if (!sameLength(x, y, rest(before, a, i), rest(after, c, j))) return blocks;
      blocks.push({ from: [a[i++]], to: [c[j++]] });
      continue;
    }
    const block = { from: [a[i]], to: [c[j]] };
    let [left, right] = [x, y];
    while (left !== right) {
      const behind = left < right;
      const next = behind ? before[a[i + 1]] : after[c[j + 1]];
      if (typeof next !== 'number' || next === 0) return blocks;
      if (behind) {
        left *= next;
        block.from.push(a[++i]);
      } else {
        right *= next;
        block.to.push(c[++j]);
      }
    }
    i++;
    j++;
    blocks.push(block);
  }
  return blocks;
}

/** Whether an unknown length stays: it has one name on both sides, or all else that follows holds equally many elements. */
function sameLength(x: Dim, y: Dim, restBefore: Shape, restAfter: Shape): boolean {
  if (x === y && x !== '') return true;
  const [p, q] = [productOf(restBefore), productOf(restAfter)];
  return typeof x === 'string' && typeof y === 'string' && typeof p === 'number' && p === q;
}

const UNKNOWN_LENGTHS =
  'takes them to lengths that are not known before the model runs; export it with fixed lengths to have them followed';

/**
 * Channels of an operator that gives input 0 another shape. A merged axis repeats each atom of the one channel-carrying axis; a split
 * axis passes them to one of its parts, coupled where they would not fit otherwise. All else is frozen, with the reason.
 */
export function reshapeChannels(context: ChannelContext): void {
  const before = context.inputs[0]?.shape;
  const after = context.outputs[0].shape;
  if (!before) return;
  const blocks = after && axisBlocks(before, after);
  const freeze = (axes: readonly number[], reason: string): void => {
    for (const axis of axes) {
      const atoms = context.atoms(0, axis);
      if (atoms) context.freeze(atoms, `${nodeLabel(context)} ${reason}`);
    }
  };
  if (isInitializer(context, 0)) {
    // A bias brought into shape: axes that stay whole carry what is coupled with them later.
    for (const { from, to } of blocks ?? []) {
      if (from.length === 1 && to.length === 1) context.setOutput(0, to[0], context.atoms(0, from[0]));
    }
    return;
  }
  const all = before.map((_, axis) => axis);
  if (!blocks || !after) {
    freeze(all, UNKNOWN_LENGTHS);
    return;
  }
  freeze(
    all.filter((axis) => before[axis] === 1),
    'moves an axis that holds this channel alone',
  );
  for (const { from, to } of blocks) {
    const carrying = from.flatMap((axis, at) => {
      const atoms = context.atoms(0, axis);
      return atoms ? [{ atoms, at }] : [];
    });
    if (carrying.length === 0) continue;
    const lengths = from.map((axis) => before[axis]) as number[];
    if (carrying.length > 1) {
      freeze(from, 'mixes two axes of channels into one');
    } else if (lengths.some((d) => typeof d === 'string') || to.some((axis) => typeof after[axis] === 'string')) {
      freeze(from, UNKNOWN_LENGTHS);
    } else if (to.length === 1 && product(lengths) > LONGEST_AXIS) {
      freeze(from, 'makes an axis too long to follow channels along');
    } else if (to.length === 1) {
      const { atoms, at } = carrying[0];
      context.setOutput(0, to[0], repeated(atoms, product(lengths.slice(0, at)), product(lengths.slice(at + 1))));
    } else if (from.length === 1) {
      splitAxis(context, carrying[0].atoms, { axis: from[0], last: from[0] === before.length - 1 }, to, after as readonly number[]);
    } else {
      freeze(from, `cuts axes of lengths ${lengths.join(', ')} into ${to.map((axis) => after[axis]).join(', ')}, which mixes channels`);
    }
  }
}

const product = (values: readonly number[]): number => values.reduce((x, y) => x * y, 1);

/** Atoms of a merged axis: all of them `outer` times, each `inner` times in a row. */
function repeated(atoms: Int32Array, outer: number, inner: number): Int32Array {
  const n = atoms.length;
  return Int32Array.from({ length: outer * n * inner }, (_, i) => atoms[Math.floor(i / inner) % n]);
}

/**
 * One axis becomes several. Where the atoms depend on one of them alone, that one carries them on (a flatten undone). Elsewhere one
 * axis is chosen to, and the channels that lie at one place along it are coupled: whole heads of an attention, places of a shuffle.
 */
function splitAxis(
  context: ChannelContext,
  atoms: Int32Array,
  from: { axis: number; last: boolean },
  to: readonly number[],
  after: readonly number[],
): void {
  const lengths = to.map((axis) => after[axis]);
  for (const [at, axis] of to.entries()) {
    const own = repeatedAlong(atoms, lengths, at);
    if (own) {
      context.setOutput(0, axis, own);
      return;
    }
  }
  const at = from.last ? featureAxis(lengths, from.axis) : longestAxis(lengths);
  const inner = product(lengths.slice(at + 1));
  const own = Int32Array.from({ length: lengths[at] }, (_, i) => atoms[i * inner]);
  context.couple(atoms, repeated(own, product(lengths.slice(0, at)), inner));
  context.setOutput(0, to[at], own);
}

/**
 * Features are cut into heads × depth, or channels × height × width, so the first axis loses whole heads or maps. Behind positions
 * the first of three axes may count parts that are told apart by number afterwards: queries, keys and values from one weight.
 */
const featureAxis = (lengths: readonly number[], axis: number): number => (axis > 1 && lengths.length > 2 && lengths[0] <= 3 ? 1 : 0);

/** Channels of images are cut into groups × channels of each (a shuffle): the longest axis, so that as few as can be fall together. */
const longestAxis = (lengths: readonly number[]): number => lengths.lastIndexOf(Math.max(...lengths));

/** The atoms along one of several axes, where the atoms of the merged axis depend on that axis alone (a flatten undone). */
function repeatedAlong(atoms: Int32Array, lengths: readonly number[], at: number): AxisAtoms {
  const inner = product(lengths.slice(at + 1));
  const outer = product(lengths.slice(0, at));
  const own = Int32Array.from({ length: lengths[at] }, (_, i) => atoms[i * inner]);
  const whole = repeated(own, outer, inner);
  return new Set(own).size > 1 && whole.every((atom, i) => atom === atoms[i]) ? own : null;
}
