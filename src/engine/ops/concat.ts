/** Concat and Split: values side by side along one axis, and apart again. */
import { UserError } from '../errors';
import { attr, type Dim, type Shape } from '../onnx/model';
import { elementCount } from '../onnx/tensor';
import { givenInts, isStatic, normalizeAxis, productOf } from './axes';
import type { GraphBuilder, Value } from './builder';
import { carried, freezeAxes, isInitializer, joinAxes, nodeLabel } from './channel-axes';
import { foldable, foldedTensor } from './folding';
import type { AxisAtoms, ChannelContext, InferContext, Operator, ValueType } from './operator';

const addLengths = (lengths: readonly Dim[]): Dim =>
  lengths.every((d) => typeof d === 'number') ? (lengths as number[]).reduce((x, y) => x + y, 0) : '';

function concatAxis({ node, opset }: Pick<InferContext, 'node' | 'opset'>, rank: number): number {
  if (opset >= 4 && !node.attributes.has('axis')) throw new UserError('names no axis to join along');
  return normalizeAxis(attr.int(node, 'axis', 1), rank);
}

const concat: Operator = {
  opTypes: ['Concat'],
  infer(context) {
    const { inputs } = context;
    const type = inputs[0]?.type ?? 'float32';
    const shapes = inputs.map((i) => i?.shape);
    const known = shapes.find((s) => s !== undefined);
    if (!known) return [{ type }];
    const axis = concatAxis(context, known.length);
    const shape = known.map((_, at): Dim => {
      const lengths = shapes.map((s): Dim => {
        if (s && s.length !== known.length) throw new UserError(`joins values of ${known.length} and ${s.length} axes`);
        return s ? s[at] : '';
      });
      if (at === axis) return addLengths(lengths);
      const numbers = lengths.filter((d) => typeof d === 'number');
      if (numbers.some((d) => d !== numbers[0])) throw new UserError(`joins values whose axis ${at} has the lengths ${lengths.join(', ')}`);
      return numbers[0] ?? lengths.find((d) => d !== '') ?? '';
    });
    return [{ type, shape, value: foldConcat(inputs, type, shape, axis) }];
  },
  gradient(context, [dy]) {
    const { b, inputs } = context;
    const values = inputs as readonly Value[];
    if (!dy) return [];
    const axis = concatAxis(context, dy.shape.length);
    if (values.length === 1) return [dy];
    const sizes = values.map((v) => v.shape[axis]);
    return b.ops('Split', [dy, b.ints(sizes)], { axis }, { outputs: values.length });
  },
  channels(context) {
    const shape = context.outputs[0].shape;
    if (!shape) return;
    const axis = concatAxis(context, shape.length);
    for (let at = 0; at < shape.length; at++) {
      if (at === axis) context.setOutput(0, at, joinedAtoms(context, at));
      else {
        const members = context.inputs.map((_, input) => ({ input, axis: at }));
        context.setOutput(0, at, joinAxes(context, members));
      }
    }
  },
};

function foldConcat(inputs: InferContext['inputs'], type: ValueType['type'], shape: Shape, axis: number) {
  const parts = inputs.map(foldable);
  if (!isStatic(shape) || parts.some((p) => p === undefined)) return undefined;
  const rows = elementCount(shape.slice(0, axis));
  const values: number[] = [];
  for (let row = 0; row < rows; row++) {
    for (const part of parts as number[][]) {
      const width = part.length / rows;
      values.push(...part.slice(row * width, (row + 1) * width));
    }
  }
  return foldedTensor(type, shape, values);
}

/** Atoms of the inputs one after another; an input without channels gets its own, which stay. */
function joinedAtoms(context: ChannelContext, axis: number): AxisAtoms {
  const parts = context.inputs.map((_, i) => carried(context, i, axis));
  if (parts.every((p) => p === null)) return null;
  const filled = parts.map((part, i): Int32Array => {
    if (part) return part;
    if (isInitializer(context, i)) {
      const own = context.atoms(i, axis);
      if (own) {
        context.role(i, axis, 'parameter');
        return own;
      }
    }
    const length = context.inputs[i]?.shape?.[axis];
    const own = context.fresh(typeof length === 'number' ? length : 0);
    context.freeze(own, `${nodeLabel(context)} joins them with '${context.node.inputs[i]}', which is not made by a layer`);
    return own;
  });
  // An input of unknown length leaves open where the channels of the others lie.
  if (context.inputs.some((input) => typeof input?.shape?.[axis] !== 'number')) {
    for (const part of filled) context.freeze(part, `${nodeLabel(context)} joins values of unknown length`);
    return null;
  }
  return Int32Array.from(filled.flatMap((p) => [...p]));
}

/** Lengths of the outputs; undefined where they are not known. */
function splitSizes(context: Pick<InferContext, 'node' | 'opset' | 'inputs'>, length: Dim | undefined): number[] | undefined {
  const given = givenInts(context, 'split', 1, 13);
  if (given === 'unknown') return undefined;
  const { node } = context;
  if (given !== 'absent') {
    const total = given.reduce((x, y) => x + y, 0);
    if (given.length !== node.outputs.length || (typeof length === 'number' && total !== length))
      throw new UserError(`splits an axis of length ${length} into parts of ${given.join(' + ')} for ${node.outputs.length} outputs`);
    return [...given];
  }
  if (typeof length !== 'number') return undefined;
  const count = node.outputs.length;
  if (context.opset < 18 && length % count !== 0) throw new UserError(`splits an axis of length ${length} into ${count} equal parts`);
  // From set 18 on the last part may be smaller.
  const part = Math.ceil(length / count);
  return node.outputs.map((_, i) => Math.max(0, Math.min(part, length - i * part)));
}

const splitAxisOf = ({ node }: Pick<InferContext, 'node'>, rank: number): number => normalizeAxis(attr.int(node, 'axis', 0), rank);

/** A tensor of zeros. */
export const zeros = (b: GraphBuilder, shape: readonly number[]): Value => b.op('Expand', [b.scalar(0), b.ints(shape)]);

const split: Operator = {
  opTypes: ['Split'],
  infer(context) {
    const { node, inputs } = context;
    const type = inputs[0]?.type ?? 'float32';
    const shape = inputs[0]?.shape;
    if (!shape) return node.outputs.map(() => ({ type }));
    const axis = splitAxisOf(context, shape.length);
    const sizes = splitSizes(context, shape[axis]);
    const rows = productOf(shape.slice(0, axis));
    const numbers = sizes && typeof rows === 'number' ? foldable(inputs[0]) : undefined;
    const inner = shape.slice(axis + 1);
    let start = 0;
    return node.outputs.map((_, i) => {
      const own = shape.map((d, at) => (at === axis ? (sizes?.[i] ?? '') : d));
      if (!numbers || !sizes || !isStatic(own) || !isStatic(inner)) return { type, shape: own };
      const step = elementCount(inner);
      const width = (numbers.length / (rows as number)) | 0;
      const from = start * step;
      start += sizes[i];
      const values = Array.from({ length: rows as number }, (_unused, row) =>
        numbers.slice(row * width + from, row * width + from + sizes[i] * step),
      ).flat();
      return { type, shape: own, value: foldedTensor(type, own, values) };
    });
  },
  gradient({ b, node, outputs }, gradients) {
    if (gradients.every((g) => g === undefined)) return [undefined];
    const axis = splitAxisOf({ node }, outputs[0].shape.length);
    const parts = outputs.map((v, i) => gradients[i] ?? zeros(b, v.shape));
    return [parts.length === 1 ? parts[0] : b.op('Concat', parts, { axis })];
  },
  channels(context) {
    const shape = context.inputs[0]?.shape;
    if (!shape) return;
    const axis = splitAxisOf(context, shape.length);
    const sizes = splitSizes(context, shape[axis]);
    const atoms = carried(context, 0, axis);
    if (atoms && !sizes) freezeAxes(context, 'splits them at places that are not known before the model runs', [axis]);
    let start = 0;
    let first: Int32Array | undefined;
    const equalParts = givenInts(context, 'split', 1, 13) === 'absent';
    for (let output = 0; output < context.outputs.length; output++) {
      for (let at = 0; at < shape.length; at++) if (at !== axis) context.setOutput(output, at, carried(context, 0, at));
      if (!atoms || !sizes) continue;
      const part = atoms.slice(start, start + sizes[output]);
      start += sizes[output];
      context.setOutput(output, axis, part);
      // Without stated sizes the parts must stay equal.
      if (!equalParts) continue;
      if (!first) first = part;
      else if (part.length === first.length) context.couple(first, part);
      else context.freeze(atoms, `${nodeLabel(context)} splits them into parts that are not equal`);
    }
  },
  shrink(context) {
    const shape = context.inputs[0]?.shape;
    if (!shape || givenInts(context, 'split', 1, 13) === 'absent') return;
    const axis = splitAxisOf(context, shape.length);
    const sizes = splitSizes(context, shape[axis]);
    if (!sizes || !context.keptInput(0, axis)) return;
    const left = sizes.map((size, output) => context.keptOutput(output, axis)?.length ?? size);
    if (context.opset >= 13) context.setInts(1, left);
    else context.setAttribute('split', left);
  },
};

export const joins: readonly Operator[] = [concat, split];
