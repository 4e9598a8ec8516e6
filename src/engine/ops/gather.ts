/** Gather: chosen positions of one axis, also the lookup of an embedding. */
import { UserError } from '../errors';
import { attr } from '../onnx/model';
import { elementCount, isFloat } from '../onnx/tensor';
import { isStatic, normalizeAxis } from './axes';
import { reshapeTo } from './broadcast';
import type { Value } from './builder';
import { carried, freezeAxes, isInitializer } from './channel-axes';
import { zeros } from './concat';
import { FOLD_LIMIT, foldable, foldedTensor, positions, stridesOf } from './folding';
import type { InferContext, Operator } from './operator';

const axisOf = ({ node }: Pick<InferContext, 'node'>, rank: number): number => normalizeAxis(attr.int(node, 'axis', 0), rank);

/** Constant positions, counted from the front; undefined where they are not constant. */
function indicesOf({ inputs }: Pick<InferContext, 'inputs'>, length: number): number[] | undefined {
  return foldable(inputs[1])?.map((i) => {
    if (i < -length || i >= length) throw new UserError(`takes position ${i} of an axis of length ${length}`);
    return i < 0 ? i + length : i;
  });
}

/** Every position once: a shuffle, whose gradient is the shuffle back. */
const isPermutation = (order: readonly number[], length: number): boolean =>
  order.length === length && new Set(order).size === length && order.every((i) => i >= 0 && i < length);

const gather: Operator = {
  opTypes: ['Gather'],
  infer(context) {
    const [data, indices] = context.inputs;
    const type = data?.type ?? 'float32';
    if (!data?.shape || !indices?.shape) return [{ type }];
    const axis = axisOf(context, data.shape.length);
    const shape = [...data.shape.slice(0, axis), ...indices.shape, ...data.shape.slice(axis + 1)];
    const length = data.shape[axis];
    const chosen = typeof length === 'number' ? indicesOf(context, length) : undefined;
    const numbers = foldable(data);
    if (!numbers || !chosen || !data.value || !isStatic(shape) || elementCount(shape) > FOLD_LIMIT) return [{ type, shape }];
    const { dims } = data.value;
    const strides = stridesOf(dims);
    const outer = positions(dims.slice(0, axis), strides.slice(0, axis));
    const inner = positions(dims.slice(axis + 1), strides.slice(axis + 1));
    const values = outer.flatMap((o) => chosen.flatMap((c) => inner.map((i) => numbers[o + c * strides[axis] + i])));
    return [{ type, shape, value: foldedTensor(type, shape, values) }];
  },
  gradient(context, [dy]) {
    const { b, inputs, node } = context;
    const data = inputs[0]!;
    const indices = inputs[1]!;
    if (!dy || !isFloat(data.type)) return [undefined];
    const rank = data.shape.length;
    const axis = axisOf({ node }, rank);
    const order = foldable({ type: indices.type, shape: indices.shape, value: b.constantOf(indices) });
    if (order && indices.shape.length === 1 && isPermutation(order, data.shape[axis])) {
      const back = order.map((_, i) => order.indexOf(i));
      return [b.op('Gather', [dy, b.ints(back)], { axis })];
    }
    // The gathered axis first: [length, …the others], so that rows are added at their places.
    const count = elementCount(indices.shape);
    const outer = data.shape.slice(0, axis);
    const inner = data.shape.slice(axis + 1);
    const front = [axis, ...outer.map((_, i) => i), ...inner.map((_, i) => axis + 1 + i)];
    const merged = reshapeTo(b, dy, [...outer, count, ...inner]);
    const rows = axis === 0 ? merged : b.op('Transpose', [merged], { perm: front });
    const total = [data.shape[axis], ...outer, ...inner];
    const at = reshapeTo(b, indices, [count, 1]);
    const sum: Value = b.op('ScatterND', [zeros(b, total), at, rows], { reduction: 'add' }, { types: [{ type: dy.type, shape: total }] });
    if (axis === 0) return [sum];
    return [b.op('Transpose', [sum], { perm: front.map((_, i) => front.indexOf(i)) })];
  },
  channels(context) {
    const shape = context.inputs[0]?.shape;
    const indicesShape = context.inputs[1]?.shape;
    if (!shape || !indicesShape) {
      freezeAxes(context, 'takes positions that are not known before the model runs');
      return;
    }
    const axis = axisOf(context, shape.length);
    for (let at = 0; at < shape.length; at++) {
      if (at === axis) continue;
      const atoms = context.atoms(0, at);
      // The rows of an embedding make new channels.
      if (atoms && isInitializer(context, 0)) context.role(0, at, 'producer');
      context.setOutput(0, at < axis ? at : at + indicesShape.length - 1, atoms);
    }
    const atoms = carried(context, 0, axis);
    if (!atoms) return;
    const chosen = indicesShape.length === 1 ? indicesOf(context, atoms.length) : undefined;
    if (!chosen) {
      freezeAxes(context, 'takes single channels by number', [axis]);
      return;
    }
    context.setOutput(
      0,
      axis,
      Int32Array.from(chosen, (i) => atoms[i]),
    );
  },
  shrink(context) {
    const shape = context.inputs[0]?.shape;
    if (!shape) return;
    const axis = axisOf(context, shape.length);
    const length = shape[axis];
    const kept = context.keptInput(0, axis);
    const chosen = kept && typeof length === 'number' ? indicesOf(context, length) : undefined;
    if (!kept || !chosen) return;
    context.setInts(
      1,
      chosen.filter((i) => kept.includes(i)).map((i) => kept.indexOf(i)),
    );
  },
};

export const gathers: readonly Operator[] = [gather];
