/** Softmax and LogSoftmax. Up to operator set 12 they see a matrix: the axes before `axis` are rows, the others are columns. */
import { attr } from '../onnx/model';
import { normalizeAxis } from './axes';
import { freezeAxes } from './channel-axes';
import { sameAsFirst, times } from './elementwise-support';
import type { ChannelContext, GradientContext, InferContext, Operator } from './operator';

/** The axes over which the outputs sum to one. */
function softmaxAxes({ node, opset }: Pick<InferContext, 'node' | 'opset'>, rank: number): number[] {
  const axis = normalizeAxis(attr.int(node, 'axis', opset < 13 ? 1 : -1), rank);
  return opset < 13 ? Array.from({ length: rank - axis }, (_, i) => axis + i) : [axis];
}

function infer(context: InferContext) {
  const rank = context.inputs[0]?.shape?.length;
  if (rank !== undefined && rank > 0) softmaxAxes(context, rank);
  return sameAsFirst(context);
}

function channels(context: ChannelContext): void {
  const rank = context.outputs[0].shape?.length ?? 0;
  const axes = softmaxAxes(context, rank);
  freezeAxes(context, 'needs all of them: removing one changes the others', axes);
  for (let axis = 0; axis < rank; axis++) context.setOutput(0, axis, context.atoms(0, axis));
}

const sumOver = (context: GradientContext, value: Parameters<typeof times>[1]) =>
  context.b.op('ReduceSum', [value, context.b.ints(softmaxAxes(context, value.shape.length))], { keepdims: 1 });

const softmax: Operator = {
  opTypes: ['Softmax'],
  infer,
  gradient(context, [dy]) {
    const { b, outputs } = context;
    const y = outputs[0];
    return [dy && times(b, y, b.op('Sub', [dy, sumOver(context, times(b, dy, y))]))];
  },
  channels,
};

const logSoftmax: Operator = {
  opTypes: ['LogSoftmax'],
  infer,
  gradient(context, [dy]) {
    const { b, outputs } = context;
    return [dy && b.op('Sub', [dy, times(b, b.op('Exp', [outputs[0]]), sumOver(context, dy))])];
  },
  channels,
};

/** 1 at the first maximum, 0 elsewhere; axes as Softmax has them. */
const hardmax: Operator = { opTypes: ['Hardmax'], infer, noGradient: 'marks the largest, which changes in steps', channels };

export const softmaxes: readonly Operator[] = [softmax, logSoftmax, hardmax];
