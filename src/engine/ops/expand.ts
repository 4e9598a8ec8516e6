/** Expand, Tile and Where: values repeated or chosen by place. */
import { UserError } from '../errors';
import type { Dim, Shape } from '../onnx/model';
import { elementCount } from '../onnx/tensor';
import { inputNumbers, unknownShape, withConstants } from './axes';
import { broadcastChannels, broadcastShapes, reduceTo, reshapeTo } from './broadcast';
import { carried, freezeAxes, LONGEST_AXIS } from './channel-axes';
import { FOLD_LIMIT, foldable, foldElementwise, foldedTensor, spread } from './folding';
import type { InferContext, Operator } from './operator';

const expand: Operator = {
  opTypes: ['Expand'],
  infer(context) {
    const input = context.inputs[0];
    const type = input?.type ?? 'float32';
    const target = inputNumbers(context, 1);
    if (target === 'absent') throw new UserError('has no target shape');
    if (target === 'unknown') {
      const rank = context.inputs[1]?.shape?.[0];
      return [{ type, shape: typeof rank === 'number' && input?.shape ? unknownShape(Math.max(rank, input.shape.length)) : undefined }];
    }
    const shape = broadcastShapes([input?.shape, target]);
    const numbers = foldable(input);
    const dims = shape?.every((d) => typeof d === 'number') ? (shape as number[]) : undefined;
    const small = dims !== undefined && elementCount(dims) <= FOLD_LIMIT;
    const value = numbers && input?.value && small ? foldedTensor(type, dims, spread(numbers, input.value.dims, dims)) : undefined;
    return [{ type, shape, value }];
  },
  gradient({ b, inputs }, [dy]) {
    return [dy && reduceTo(b, dy, inputs[0]!.shape)];
  },
  channels(context) {
    const before = context.inputs[0]?.shape;
    const after = context.outputs[0].shape;
    if (!before || !after) {
      freezeAxes(context, 'changes the shape in a way that is not known before the model runs');
      return;
    }
    const lead = after.length - before.length;
    for (let axis = 0; axis < before.length; axis++) {
      if (before[axis] === after[axis + lead]) context.setOutput(0, axis + lead, carried(context, 0, axis));
      else freezeAxes(context, 'repeats this single channel', [axis]);
    }
  },
  shrink(context) {
    const target = inputNumbers(context, 1);
    const after = context.outputs[0].shape;
    if (typeof target === 'string' || !after) return;
    const lead = after.length - target.length;
    const kept = target.map((_, axis) => context.keptOutput(0, axis + lead));
    if (kept.some((k) => k !== undefined))
      // 1 means "as the input".
      context.setInts(
        1,
        target.map((d, axis) => (kept[axis] ? 1 : d)),
      );
  },
};

/** How often each axis is repeated; undefined where that is not constant. */
function repeatsOf(context: Pick<InferContext, 'inputs'>, shape: Shape): number[] | undefined {
  const repeats = inputNumbers(context, 1);
  if (typeof repeats === 'string') return undefined;
  if (repeats.length !== shape.length) throw new UserError(`has ${repeats.length} repeats for ${shape.length} axes`);
  return [...repeats];
}

const tile: Operator = {
  opTypes: ['Tile'],
  infer(context) {
    const input = context.inputs[0];
    const type = input?.type ?? 'float32';
    if (!input?.shape) return [{ type }];
    const repeats = repeatsOf(context, input.shape);
    return [{ type, shape: input.shape.map((d, axis): Dim => tiledLength(d, repeats?.[axis])) }];
  },
  gradient(context, [dy]) {
    const { b, node } = context;
    const x = context.inputs[0]!;
    const repeats = repeatsOf(withConstants(context), x.shape);
    if (!repeats)
      throw new UserError(
        `Tile '${node.name || node.outputs[0]}' repeats a number of times that is not constant`,
        'Run without fine-tuning.',
      );
    if (!dy) return [undefined];
    // Copies lie one after another: a new axis for each, summed.
    const apart = x.shape.flatMap((d, axis) => [repeats[axis], d]);
    const axes = repeats.flatMap((_, axis) => [2 * axis]);
    return [axes.length === 0 ? dy : b.op('ReduceSum', [reshapeTo(b, dy, apart), b.ints(axes)], { keepdims: 0 })];
  },
  channels(context) {
    const shape = context.inputs[0]?.shape;
    const repeats = shape && repeatsOf(context, shape);
    if (!repeats) {
      freezeAxes(context, 'repeats them a number of times that is not known before the model runs');
      return;
    }
    for (const [axis, count] of repeats.entries()) {
      const atoms = carried(context, 0, axis);
      if (atoms && count * atoms.length > LONGEST_AXIS) freezeAxes(context, 'makes an axis too long to follow channels along', [axis]);
      else if (atoms)
        context.setOutput(
          0,
          axis,
          Int32Array.from({ length: count * atoms.length }, (_, i) => atoms[i % atoms.length]),
        );
    }
  },
};

function tiledLength(d: Dim, repeats: number | undefined): Dim {
  if (repeats === undefined) return '';
  if (typeof d === 'number') return d * repeats;
  return repeats === 1 ? d : '';
}

const where: Operator = {
  opTypes: ['Where'],
  infer({ inputs }) {
    const type = inputs[1]?.type ?? inputs[2]?.type ?? 'float32';
    const shape = broadcastShapes(inputs.map((i) => i?.shape));
    return [{ type, shape, value: foldElementwise(inputs, type, (condition, x, y) => (condition ? x : y)) }];
  },
  gradient({ b, inputs, wants }, [dy]) {
    const [condition, x, y] = inputs.map((v) => v!);
    const none = b.scalar(0);
    return [
      undefined,
      dy && wants(1) ? reduceTo(b, b.op('Where', [condition, dy, none]), x.shape) : undefined,
      dy && wants(2) ? reduceTo(b, b.op('Where', [condition, none, dy]), y.shape) : undefined,
    ];
  },
  channels: broadcastChannels,
};

export const expansions: readonly Operator[] = [expand, tile, where];
