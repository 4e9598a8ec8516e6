/** MatMul as numpy has it: matrices in the last two axes, leading axes broadcast; a vector counts as a row (left) or a column (right). */
import { UserError } from '../errors';
import type { Dim, Shape } from '../onnx/model';
import { elementCount } from '../onnx/tensor';
import { broadcastShapes, reduceTo } from './broadcast';
import type { GraphBuilder, Value } from './builder';
import { joinAxes } from './channel-axes';
import { contractChannels } from './contraction';
import { gemm, matMul, reshape } from './emit';
import type { ChannelContext, CostContext, GradientContext, InferContext, Operator, ValueType } from './operator';

function infer({ node, inputs }: InferContext): ValueType[] {
  const [left, right] = inputs;
  if (!left || !right) throw new UserError('it needs two inputs');
  const [a, b] = [left.shape, right.shape];
  if (!a || !b) return [{ type: left.type, shape: undefined }];
  if (a.length === 0 || b.length === 0) throw new UserError(`its input '${node.inputs[a.length === 0 ? 0 : 1]}' is a single number`);
  const [inner, partner] = [a[a.length - 1], b[Math.max(0, b.length - 2)]];
  if (typeof inner === 'number' && typeof partner === 'number' && inner !== partner)
    throw new UserError(`shapes [${a.join(', ')}] and [${b.join(', ')}] cannot be multiplied: rows of ${inner} meet columns of ${partner}`);
  const batch = broadcastShapes([a.slice(0, -2), b.slice(0, -2)])!;
  const rows: Shape = a.length > 1 ? [a[a.length - 2]] : [];
  const columns: Shape = b.length > 1 ? [b[b.length - 1]] : [];
  return [{ type: left.type, shape: [...batch, ...rows, ...columns] }];
}

function cost({ inputs, outputs }: CostContext): number {
  const known = (d: Dim | undefined): number => (typeof d === 'number' ? d : 1);
  const output = outputs[0].shape;
  return output ? elementCount(output.map(known)) * known(inputs[0]?.shape?.at(-1)) : 0;
}

function gradient({ b, inputs, wants }: GradientContext, [dy]: ReadonlyArray<Value | undefined>): Array<Value | undefined> {
  const [left, right] = inputs;
  if (!left || !right || !dy) return [];
  // Vectors as the matrices that they count as; the output's gradient likewise.
  const a = left.shape.length === 1 ? reshape(b, left, [1, left.shape[0]]) : left;
  const c = right.shape.length === 1 ? reshape(b, right, [right.shape[0], 1]) : right;
  const batch = dy.shape.slice(0, Math.max(a.shape.length, c.shape.length) - 2);
  const d = reshape(b, dy, [...batch, a.shape[a.shape.length - 2], c.shape[c.shape.length - 1]]);
  return [
    wants(0) ? reshape(b, reduceTo(b, matMul(b, d, c, { transRight: true }), a.shape), left.shape) : undefined,
    wants(1) ? reshape(b, rightGradient(b, a, c, d), right.shape) : undefined,
  ];
}

function rightGradient(b: GraphBuilder, a: Value, c: Value, d: Value): Value {
  if (c.shape.length === 2) {
    // One weight for all rows: a single tall product, with the sum over the leading axes inside it.
    const rows = (v: Value): Value => reshape(b, v, [elementCount(v.shape.slice(0, -1)), v.shape[v.shape.length - 1]]);
    return gemm(b, rows(a), rows(d), { transLeft: true });
  }
  return reduceTo(b, matMul(b, a, d, { transLeft: true }), c.shape);
}

function channels(context: ChannelContext): void {
  const [a, b] = [context.inputs[0]?.shape, context.inputs[1]?.shape];
  const output = context.outputs[0].shape;
  if (!a || !b || !output) return;
  const outer = contractChannels(
    context,
    { input: 0, inner: a.length - 1, outer: a.length > 1 ? a.length - 2 : undefined },
    { input: 1, inner: Math.max(0, b.length - 2), outer: b.length > 1 ? b.length - 1 : undefined },
  );
  const rank = Math.max(a.length, b.length) - 2;
  for (let axis = 0; axis < rank; axis++) {
    const members = [a, b].flatMap((shape, input) => {
      const at = axis - (rank - (shape.length - 2));
      return at >= 0 && (shape[at] !== 1 || output[axis] === 1) ? [{ input, axis: at }] : [];
    });
    context.setOutput(0, axis, joinAxes(context, members));
  }
  let axis = Math.max(0, rank);
  if (a.length > 1) context.setOutput(0, axis++, outer.left);
  if (b.length > 1) context.setOutput(0, axis, outer.right);
}

export const matmul: Operator = { opTypes: ['MatMul'], infer, cost, gradient, channels };
