/** Pad: more (or, with negative numbers, fewer) positions at both ends of axes. */
import { UserError } from '../errors';
import { attr, type Dim } from '../onnx/model';
import { givenInts, inputNumbers, normalizeAxes, withConstants } from './axes';
import { type AxisMap, axisMap, transposedAlong } from './axis-maps';
import { carried, freezeAxes, isInitializer, nodeLabel } from './channel-axes';
import type { InferContext, Operator } from './operator';

interface Pads {
  /** Positions added before and behind, by axis. */
  readonly before: readonly number[];
  readonly behind: readonly number[];
  /** The axes that the node's own list of pads speaks of, in its order. */
  readonly axes: readonly number[];
}

/** undefined where the pads are not constant. */
function padsOf(context: Pick<InferContext, 'node' | 'opset' | 'inputs'>, rank: number): Pads | undefined {
  const { node, opset } = context;
  const given = givenInts(context, opset < 2 ? 'paddings' : 'pads', 1, 11);
  if (given === 'absent') throw new UserError('has no pads');
  if (given === 'unknown') return undefined;
  const axesGiven = opset >= 18 ? inputNumbers(context, 3) : 'absent';
  if (axesGiven === 'unknown') return undefined;
  const axes = axesGiven === 'absent' ? Array.from({ length: rank }, (_, axis) => axis) : normalizeAxes(axesGiven, rank);
  if (given.length !== 2 * axes.length)
    throw new UserError(`has ${given.length} pads for ${axes.length} axes of ${node.inputs[0]}, two for each are needed`);
  const before = new Array<number>(rank).fill(0);
  const behind = new Array<number>(rank).fill(0);
  for (const [i, axis] of axes.entries()) {
    before[axis] = given[i];
    behind[axis] = given[axes.length + i];
  }
  return { before, behind, axes };
}

const modeOf = ({ node }: Pick<InferContext, 'node'>): string => attr.string(node, 'mode', 'constant');

const pad: Operator = {
  opTypes: ['Pad'],
  infer(context) {
    const input = context.inputs[0];
    const type = input?.type ?? 'float32';
    if (!input?.shape) return [{ type }];
    const pads = padsOf(context, input.shape.length);
    if (!pads) return [{ type, shape: input.shape.map(() => '') }];
    const shape = input.shape.map((d, axis): Dim => {
      const more = pads.before[axis] + pads.behind[axis];
      if (typeof d === 'string') return more === 0 ? d : '';
      if (d + more < 0) throw new UserError(`takes ${-more} positions from axis ${axis} of length ${d}`);
      return d + more;
    });
    return [{ type, shape }];
  },
  gradient(context, [dy]) {
    const { b, node } = context;
    const pads = padsOf(withConstants(context), context.inputs[0]!.shape.length);
    const label = `Pad '${node.name || node.outputs[0]}'`;
    if (!pads) throw new UserError(`${label} has pads that are not constant`, NO_TRAINING);
    if (!dy) return [undefined];
    const mode = modeOf({ node });
    if (mode !== 'constant') {
      if ([...pads.before, ...pads.behind].some((p) => p < 0))
        throw new UserError(`${label} repeats and cuts values at once, through which no gradient is known`, NO_TRAINING);
      const lengths = context.inputs[0]!.shape;
      return [lengths.reduce((gradient, length, axis) => transposedAlong(b, gradient, axis, repeatedMap(mode, pads, axis, length)), dy)];
    }
    // Negative pads take away what was added, and put zeros where values were cut off.
    return [b.op('Pad', [dy, b.ints([...pads.before, ...pads.behind].map((p) => (p === 0 ? 0 : -p)))])];
  },
  channels(context) {
    const shape = context.inputs[0]?.shape;
    if (!shape || isInitializer(context, 0)) return;
    const pads = padsOf(context, shape.length);
    if (!pads) {
      freezeAxes(context, 'adds positions whose number is not known before the model runs');
      return;
    }
    for (let axis = 0; axis < shape.length; axis++) {
      const atoms = carried(context, 0, axis);
      if (!atoms) continue;
      const [before, behind] = [pads.before[axis], pads.behind[axis]];
      if (before === 0 && behind === 0) {
        context.setOutput(0, axis, atoms);
      } else if (before < 0 || behind < 0 || modeOf(context) !== 'constant') {
        context.freeze(atoms, `${nodeLabel(context)} ${modeOf(context) === 'constant' ? 'cuts' : 'repeats'} some of them`);
      } else {
        // The added channels hold one constant: they can go with the channels they meet further on.
        context.setOutput(0, axis, Int32Array.from([...context.fresh(before), ...atoms, ...context.fresh(behind)]));
      }
    }
  },
  shrink(context) {
    const shape = context.inputs[0]?.shape;
    const pads = shape && padsOf(context, shape.length);
    if (!pads) return;
    const before = [...pads.before];
    const behind = [...pads.behind];
    let changed = false;
    for (const [axis, length] of shape.entries()) {
      const kept = context.keptOutput(0, axis);
      if (!kept || typeof length !== 'number') continue;
      changed = true;
      before[axis] = kept.filter((p) => p < pads.before[axis]).length;
      behind[axis] = kept.filter((p) => p >= pads.before[axis] + length).length;
    }
    if (!changed) return;
    const values = [...pads.axes.map((axis) => before[axis]), ...pads.axes.map((axis) => behind[axis])];
    if (context.opset >= 11) context.setInts(1, values);
    else context.setAttribute('pads', values);
  },
};

const NO_TRAINING = 'Freeze the layers before it, or run without fine-tuning.';

/** Which input position each output position repeats: the nearest (edge), mirrored without its edge (reflect), or round again (wrap). */
function repeatedMap(mode: string, { before, behind }: Pads, axis: number, length: number): AxisMap {
  const period = Math.max(1, 2 * (length - 1));
  const modulo = (p: number, n: number): number => ((p % n) + n) % n;
  const source = (at: number): number => {
    if (mode === 'edge') return Math.min(length - 1, Math.max(0, at));
    if (mode === 'wrap') return modulo(at, length);
    const turned = modulo(at, period);
    return turned < length ? turned : period - turned;
  };
  return axisMap(before[axis] + length + behind[axis], length, (row) => [[source(row - before[axis]), 1]]);
}

export const pads: readonly Operator[] = [pad];
