/** Operators that give a value another shape and leave its elements in their order: Reshape, Flatten, Squeeze, Unsqueeze. */
import { UserError } from '../errors';
import { attr, type Dim, type Shape } from '../onnx/model';
import type { Tensor } from '../onnx/tensor';
import { givenInts, isStatic, normalizeAxes, normalizeAxis, productOf, unknownShape } from './axes';
import { reshapeChannels } from './axis-blocks';
import { reshapeTo } from './broadcast';
import { passAxes } from './channel-axes';
import { foldable, foldedTensor } from './folding';
import type { ChannelContext, GradientContext, InferContext, InputGradients, Operator, OutputGradients, ValueType } from './operator';

/** The same elements under another shape; a small constant stays known. */
function reshapedType(input: ValueType | undefined, shape: Shape | undefined): ValueType {
  const type = input?.type ?? 'float32';
  let value: Tensor | undefined;
  if (isStatic(shape)) {
    const numbers = foldable(input);
    value = numbers && foldedTensor(type, shape, numbers);
  }
  return { type, shape, value };
}

const gradient = ({ b, inputs }: GradientContext, [dy]: OutputGradients): InputGradients => [dy && reshapeTo(b, dy, inputs[0]!.shape)];

/** The target as the node gives it: an attribute before operator set 5, an input from then on. */
const targetOf = (context: Pick<InferContext, 'node' | 'opset' | 'inputs'>) => givenInts(context, 'shape', 1, 5);

const reshape: Operator = {
  opTypes: ['Reshape'],
  infer(context) {
    const { node, inputs } = context;
    const target = targetOf(context);
    if (target === 'absent') throw new UserError('has no target shape');
    if (target === 'unknown') {
      const rank = inputs[1]?.shape?.[0];
      return [reshapedType(inputs[0], typeof rank === 'number' ? unknownShape(rank) : undefined)];
    }
    return [reshapedType(inputs[0], resolveTarget(inputs[0]?.shape, target, attr.int(node, 'allowzero', 0) === 1))];
  },
  gradient,
  channels: reshapeChannels,
  shrink(context) {
    const target = targetOf(context);
    const after = context.outputs[0].shape;
    const before = context.inputs[0]?.shape;
    if (typeof target === 'string' || !after) return;
    const zeroCopies = attr.int(context.node, 'allowzero', 0) === 0;
    let changed = false;
    const lengths = target.map((d, axis) => {
      if (d <= 0) return d;
      const kept = context.keptOutput(0, axis);
      if (kept) {
        changed = true;
        return kept.length;
      }
      // A target that follows from shapes may hold a batch size that is not fixed: where an axis stays, "as the input" is the safe word.
      return zeroCopies && before?.[axis] === d && !context.keptInput(0, axis) ? 0 : d;
    });
    if (!changed) return;
    if (context.opset >= 5) context.setInts(1, lengths);
    else context.setAttribute('shape', lengths);
  },
};

/** The shape that a target with zeros (copied lengths) and one −1 (what is left) stands for. */
function resolveTarget(input: Shape | undefined, target: readonly number[], allowZero: boolean): Shape {
  if (target.filter((d) => d === -1).length > 1) throw new UserError(`the target shape [${target.join(', ')}] leaves two lengths open`);
  const shape = target.map((d, axis): Dim => {
    if (d < -1) throw new UserError(`the target shape [${target.join(', ')}] holds the length ${d}`);
    if (d !== 0 || allowZero) return d;
    if (!input) return '';
    if (axis >= input.length)
      throw new UserError(`the target shape [${target.join(', ')}] copies axis ${axis} of a value of ${input.length} axes`);
    return input[axis];
  });
  const open = shape.indexOf(-1);
  if (!input) return shape.map((d) => (d === -1 ? '' : d));
  const [have, rest] = cancelled(
    input,
    shape.filter((_, axis) => axis !== open),
  );
  const [total, fixed] = [productOf(have), productOf(rest)];
  const misfit = (): UserError =>
    new UserError(
      `a value of shape [${input.join(', ')}] cannot take the shape [${target.join(', ')}]`,
      'The model was made for another input size, or the file is damaged.',
    );
  if (open < 0) {
    if (typeof total === 'number' && typeof fixed === 'number' && total !== fixed) throw misfit();
    return shape;
  }
  const numbers = [have, rest].map((dims) => dims.reduce<number>((p, d) => (typeof d === 'number' ? p * d : p), 1));
  const names = have.filter((d) => typeof d === 'string');
  let length: Dim = '';
  if (typeof total === 'number' && typeof fixed === 'number') {
    if (fixed === 0 || total % fixed !== 0) throw misfit();
    length = total / fixed;
  } else if (names.length === 1 && typeof fixed === 'number' && numbers[0] === numbers[1]) {
    length = names[0];
  }
  return shape.map((d) => (d === -1 ? length : d));
}

/** Both lists of lengths without the named ones they share. */
function cancelled(have: Shape, rest: Shape): [Shape, Shape] {
  const left = [...rest];
  const kept = have.filter((d) => {
    const at = typeof d === 'string' && d !== '' ? left.indexOf(d) : -1;
    if (at < 0) return true;
    left.splice(at, 1);
    return false;
  });
  return [kept, left];
}

const flatten: Operator = {
  opTypes: ['Flatten'],
  infer({ node, inputs }) {
    const shape = inputs[0]?.shape;
    const given = attr.int(node, 'axis', 1);
    if (!shape) return [{ type: inputs[0]?.type ?? 'float32', shape: ['', ''] }];
    const axis = given === shape.length ? given : normalizeAxis(given, shape.length);
    return [reshapedType(inputs[0], [productOf(shape.slice(0, axis)), productOf(shape.slice(axis))])];
  },
  gradient,
  channels: reshapeChannels,
};

/** Axes that a Squeeze removes; undefined where they are not known. */
function squeezedAxes(context: Pick<InferContext, 'node' | 'opset' | 'inputs'>, shape: Shape): number[] | undefined {
  const axes = givenInts(context, 'axes', 1, 13);
  if (axes === 'unknown') return undefined;
  if (axes === 'absent') return shape.flatMap((d, axis) => (d === 1 ? [axis] : []));
  return normalizeAxes(axes, shape.length);
}

const squeeze: Operator = {
  opTypes: ['Squeeze'],
  infer(context) {
    const input = context.inputs[0];
    const axes = input?.shape && squeezedAxes(context, input.shape);
    for (const axis of axes ?? []) {
      const d = input?.shape?.[axis];
      if (typeof d === 'number' && d !== 1) throw new UserError(`removes axis ${axis}, whose length is ${d} and not 1`);
    }
    return [reshapedType(input, axes && input?.shape?.filter((_, axis) => !axes.includes(axis)))];
  },
  gradient,
  channels(context) {
    const shape = context.inputs[0]?.shape;
    const axes = shape && squeezedAxes(context, shape);
    if (axes) passAxes(context, keptPairs(shape.length, axes));
    else reshapeChannels(context);
  },
};

/** Old and new numbers of the axes that stay when some are taken out. */
function keptPairs(rank: number, removed: readonly number[]): Array<[number, number]> {
  const kept = Array.from({ length: rank }, (_, axis) => axis).filter((axis) => !removed.includes(axis));
  return kept.map((axis, position) => [axis, position]);
}

/** Axes of the output that an Unsqueeze adds; undefined where they are not known. */
function addedAxes(context: Pick<InferContext, 'node' | 'opset' | 'inputs'>, rank: number): number[] | undefined {
  const axes = givenInts(context, 'axes', 1, 13);
  if (axes === 'absent') throw new UserError('names no axes to add');
  return axes === 'unknown' ? undefined : normalizeAxes(axes, rank + axes.length);
}

const unsqueeze: Operator = {
  opTypes: ['Unsqueeze'],
  infer(context) {
    const input = context.inputs[0];
    const axes = input?.shape && addedAxes(context, input.shape.length);
    if (!axes || !input?.shape) return [reshapedType(input, undefined)];
    const rest = [...input.shape];
    return [
      reshapedType(
        input,
        Array.from({ length: rest.length + axes.length }, (_, axis) => (axes.includes(axis) ? 1 : rest.shift()!)),
      ),
    ];
  },
  gradient,
  channels(context: ChannelContext) {
    const rank = context.inputs[0]?.shape?.length;
    const axes = rank === undefined ? undefined : addedAxes(context, rank);
    if (axes && rank !== undefined)
      passAxes(
        context,
        keptPairs(rank + axes.length, axes).map(([to, from]) => [from, to]),
      );
    else reshapeChannels(context);
  },
};

export const reshapes: readonly Operator[] = [reshape, flatten, squeeze, unsqueeze];
