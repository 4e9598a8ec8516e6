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

/** The blocks, or undefined where unknown lengths leave them open or the shapes do not hold equally many elements. */
export function axisBlocks(before: Shape, after: Shape): AxisBlock[] | undefined {
  const wide = (shape: Shape): number[] => shape.flatMap((d, axis) => (d === 1 ? [] : [axis]));
  const [a, c] = [wide(before), wide(after)];
  const blocks: AxisBlock[] = [];
  let [i, j] = [0, 0];
  while (i < a.length && j < c.length) {
    const [x, y] = [before[a[i]], after[c[j]]];
    if (typeof x === 'string' || typeof y === 'string') {
      if (!sameLength(x, y, before.slice(a[i] + 1), after.slice(c[j] + 1))) return undefined;
      blocks.push({ from: [a[i++]], to: [c[j++]] });
      continue;
    }
    const block = { from: [a[i++]], to: [c[j++]] };
    let [left, right] = [x, y];
    while (left !== right) {
      const behind = left < right;
      const next = behind ? before[a[i]] : after[c[j]];
      if (typeof next !== 'number' || next === 0) return undefined;
      if (behind) {
        left *= next;
        block.from.push(a[i++]);
      } else {
        right *= next;
        block.to.push(c[j++]);
      }
    }
    blocks.push(block);
  }
  return i === a.length && j === c.length ? blocks : undefined;
}

/** Whether an unknown length stays: it has one name on both sides, or all else that follows holds equally many elements. */
function sameLength(x: Dim, y: Dim, restBefore: Shape, restAfter: Shape): boolean {
  if (x === y && x !== '') return true;
  const [p, q] = [productOf(restBefore), productOf(restAfter)];
  return typeof x === 'string' && typeof y === 'string' && typeof p === 'number' && p === q;
}

/**
 * Channels of an operator that gives input 0 another shape. A merged axis repeats each atom of the one channel-carrying axis; a split
 * axis is mapped where its atoms repeat in blocks that fit, or where it is the last axis (features: whole blocks are then lost
 * together). All else is frozen, with the reason.
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
    freeze(all, 'changes the shape in a way that is not known before the model runs');
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
  if (!from.last) {
    context.freeze(atoms, `${nodeLabel(context)} splits ${atoms.length} channels into groups of axes ${lengths.join(' × ')}`);
    return;
  }
  const inner = atoms.length / lengths[0];
  const first = Int32Array.from({ length: lengths[0] }, (_, i) => atoms[i * inner]);
  context.couple(atoms, repeated(first, 1, inner));
  context.setOutput(0, to[0], first);
}

/** The atoms along one of several axes, where the atoms of the merged axis depend on that axis alone (a flatten undone). */
function repeatedAlong(atoms: Int32Array, lengths: readonly number[], at: number): AxisAtoms {
  const inner = product(lengths.slice(at + 1));
  const outer = product(lengths.slice(0, at));
  const own = Int32Array.from({ length: lengths[at] }, (_, i) => atoms[i * inner]);
  const whole = repeated(own, outer, inner);
  return new Set(own).size > 1 && whole.every((atom, i) => atom === atoms[i]) ? own : null;
}
