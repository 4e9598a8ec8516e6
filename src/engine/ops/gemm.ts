/** Gemm: Y = alpha · A' · B' + beta · C, where ' transposes if transA or transB says so, and C stretches to Y [M, N]. */
import { UserError } from '../errors';
import { attr, type Dim, type Node } from '../onnx/model';
import { reduceTo } from './broadcast';
import type { Value } from './builder';
import { isInitializer, nodeLabel } from './channel-axes';
import { contractChannels } from './contraction';
import { gemm as product, scale } from './emit';
import type { ChannelContext, CostContext, GradientContext, InferContext, Operator, ValueType } from './operator';

interface GemmAttributes {
  readonly transA: boolean;
  readonly transB: boolean;
  readonly alpha: number;
  readonly beta: number;
}

const attributesOf = (node: Node): GemmAttributes => ({
  transA: attr.int(node, 'transA', 0) !== 0,
  transB: attr.int(node, 'transB', 0) !== 0,
  alpha: attr.float(node, 'alpha', 1),
  beta: attr.float(node, 'beta', 1),
});

function infer({ node, inputs }: InferContext): ValueType[] {
  const [a, b, c] = inputs;
  if (!a || !b) throw new UserError('it needs two matrices');
  const { transA, transB } = attributesOf(node);
  [a, b].forEach((m, i) => {
    if (m.shape && m.shape.length !== 2)
      throw new UserError(`its input '${node.inputs[i]}' has the shape [${m.shape.join(', ')}] where a matrix belongs`);
  });
  const [m, left] = transA ? [a.shape?.[1], a.shape?.[0]] : [a.shape?.[0], a.shape?.[1]];
  const [right, n] = transB ? [b.shape?.[1], b.shape?.[0]] : [b.shape?.[0], b.shape?.[1]];
  if (typeof left === 'number' && typeof right === 'number' && left !== right)
    throw new UserError(`its input has ${left} features, its weight '${node.inputs[1]}' expects ${right}`);
  const shape: Dim[] = [m ?? '', n ?? ''];
  c?.shape?.forEach((d, i, all) => {
    const length = shape[i + 2 - all.length];
    if (all.length > 2 || (typeof d === 'number' && d !== 1 && typeof length === 'number' && d !== length))
      throw new UserError(`its addend '${node.inputs[2]}' of shape [${all.join(', ')}] does not stretch to [${shape.join(', ')}]`);
  });
  return [{ type: a.type, shape }];
}

function cost({ node, inputs, outputs }: CostContext): number {
  const known = (d: Dim | undefined): number => (typeof d === 'number' ? d : 1);
  const inner = inputs[1]?.shape?.[attributesOf(node).transB ? 1 : 0];
  return known(outputs[0].shape?.[0]) * known(outputs[0].shape?.[1]) * known(inner);
}

function gradient({ node, b, inputs, wants }: GradientContext, [dy]: ReadonlyArray<Value | undefined>): Array<Value | undefined> {
  const [left, right, addend] = inputs;
  if (!left || !right || !dy) return [];
  const { transA, transB, alpha, beta } = attributesOf(node);
  // dA' = alpha · dY · B'ᵀ and dB' = alpha · A'ᵀ · dY; where an operand was transposed, so is the product, by exchanging its factors.
  const dLeft = (): Value =>
    transA ? product(b, right, dy, { transLeft: transB, transRight: true, alpha }) : product(b, dy, right, { transRight: !transB, alpha });
  const dRight = (): Value =>
    transB ? product(b, dy, left, { transLeft: true, transRight: transA, alpha }) : product(b, left, dy, { transLeft: !transA, alpha });
  return [
    wants(0) ? dLeft() : undefined,
    wants(1) ? dRight() : undefined,
    addend && wants(2) ? scale(b, reduceTo(b, dy, addend.shape), beta) : undefined,
  ];
}

function channels(context: ChannelContext): void {
  const { transA, transB } = attributesOf(context.node);
  const outer = contractChannels(
    context,
    { input: 0, inner: transA ? 0 : 1, outer: transA ? 1 : 0 },
    { input: 1, inner: transB ? 1 : 0, outer: transB ? 0 : 1 },
  );
  const output = [outer.left, outer.right];
  const addend = context.inputs[2]?.shape;
  addend?.forEach((length, axis) => {
    const atoms = output[axis + 2 - addend.length];
    // A length of 1 is stretched over the channels and stays.
    if (!atoms || (length === 1 && atoms.length !== 1)) return;
    const own = context.atoms(2, axis);
    if (isInitializer(context, 2)) context.role(2, axis, 'parameter');
    if (own) context.couple(atoms, own);
    else context.freeze(atoms, `${nodeLabel(context)} adds a value whose channels cannot be removed`);
  });
  context.setOutput(0, 0, output[0]);
  context.setOutput(0, 1, output[1]);
}

export const gemm: Operator = { opTypes: ['Gemm'], infer, cost, gradient, channels };
