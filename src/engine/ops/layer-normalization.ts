/**
 * Normalisation over the last axes: LayerNormalization (Ba, Kiros, Hinton 2016), RMSNormalization (Zhang, Sennrich 2019; onnxruntime
 * knows it as SimplifiedLayerNormalization), and onnxruntime's fused forms that add a residual first.
 */
import { UserError } from '../errors';
import { attr, type Shape } from '../onnx/model';
import { isFloat } from '../onnx/tensor';
import { normalizeAxis } from './axes';
import { reduceTo, reshapeTo } from './broadcast';
import type { Value } from './builder';
import { freezeAxes, isInitializer, joinAxes, nodeLabel } from './channel-axes';
import { binary, range } from './emit';
import { normalized, normalizedBackward } from './normalization-support';
import type { ChannelContext, GradientContext, InferContext, InputGradients, Operator, OutputGradients, ValueType } from './operator';

const EPSILON = 1e-5;
/** onnxruntime's fused operators have another default. */
const FUSED_EPSILON = 1e-12;

const firstAxis = ({ node }: Pick<InferContext, 'node'>, rank: number): number => normalizeAxis(attr.int(node, 'axis', -1), rank);

/** The shape of the statistics: normalised axes have length 1. */
const statisticShape = (shape: Shape | undefined, axis: number | undefined): Shape | undefined =>
  axis === undefined ? undefined : shape?.map((d, at) => (at < axis ? d : 1));

const REASON = 'normalises over them: removing one would change all others';

/** The normalised axes keep all their channels; those before them pass. */
function passBefore(context: ChannelContext, axis: number): void {
  const rank = context.inputs[0]?.shape?.length ?? 0;
  freezeAxes(context, REASON, range(axis, rank));
  for (let at = 0; at < axis; at++) context.setOutput(0, at, context.atoms(0, at));
}

/** @param centre whether the mean is taken off */
function layerNormalization(opType: string, centre: boolean): Operator {
  const backward = ({ node, b, inputs, wants }: GradientContext, gradients: OutputGradients): InputGradients => {
    const [x, weight, bias] = inputs;
    const dy = gradients[0];
    if (!x || !weight) return [];
    const axis = firstAxis({ node }, x.shape.length);
    const n = normalized(b, x, range(axis, x.shape.length), attr.float(node, 'epsilon', EPSILON), { centre });
    const statistic = (d: Value | undefined): Value | undefined => d && reshapeTo(b, d, n.inverse.shape);
    const [dMean, dInverse] = centre ? [statistic(gradients[1]), statistic(gradients[2])] : [undefined, statistic(gradients[1])];
    return [
      wants(0) ? normalizedBackward(b, n, dy && binary(b, 'Mul', dy, weight), { dMean, dInverse }) : undefined,
      dy && wants(1) ? reduceTo(b, binary(b, 'Mul', dy, n.value), weight.shape) : undefined,
      dy && bias && wants(2) ? reduceTo(b, dy, bias.shape) : undefined,
    ];
  };
  return {
    opTypes: [opType],
    infer(context) {
      const x = context.inputs[0];
      const type = x?.type ?? 'float32';
      const axis = x?.shape && firstAxis(context, x.shape.length);
      const statistic: ValueType = { type: isFloat(type) && type !== 'float64' ? 'float32' : type, shape: statisticShape(x?.shape, axis) };
      return context.node.outputs.map((_, i) => (i === 0 ? { type, shape: x?.shape } : statistic));
    },
    gradient: backward,
    channels(context) {
      const rank = context.inputs[0]?.shape?.length;
      if (rank !== undefined) passBefore(context, firstAxis(context, rank));
    },
  };
}

/**
 * Y = normalisation of the sum of input, skip and, where given, bias, over the last axis. The optional fourth output is that sum.
 * @param centre SkipLayerNormalization (input, skip, gamma, beta, bias); else its simplified form (input, skip, gamma, bias)
 */
function skipNormalization(opType: string, centre: boolean): Operator {
  const biasInput = centre ? 4 : 3;
  return {
    opTypes: [opType],
    domain: 'com.microsoft',
    infer({ node, inputs }) {
      const type = inputs[0]?.type ?? 'float32';
      const shape = inputs[0]?.shape;
      const statistic: ValueType = { type: 'float32', shape: statisticShape(shape, shape && shape.length - 1) };
      return node.outputs.map((_, i) => (i === 1 || i === 2 ? statistic : { type, shape }));
    },
    gradient({ node, b, inputs, wants }, gradients) {
      const [input, skip, weight] = inputs;
      const bias = inputs[biasInput];
      const beta = centre ? inputs[3] : undefined;
      if (!input || !skip || !weight) return [];
      if (gradients[1] || gradients[2])
        throw new UserError(`the statistics that ${node.opType} '${node.name || node.outputs[0]}' gives out cannot be trained through`);
      const joined = binary(b, 'Add', input, skip);
      const sum = bias ? binary(b, 'Add', joined, bias) : joined;
      const n = normalized(b, sum, [sum.shape.length - 1], attr.float(node, 'epsilon', FUSED_EPSILON), { centre });
      const dy = gradients[0];
      const through = normalizedBackward(b, n, dy && binary(b, 'Mul', dy, weight));
      const direct = gradients[3];
      const dSum = through && direct ? binary(b, 'Add', through, direct) : (through ?? direct);
      const result: Array<Value | undefined> = inputs.map(() => undefined);
      if (!dSum) return result;
      result[0] = wants(0) ? reduceTo(b, dSum, input.shape) : undefined;
      result[1] = wants(1) ? reduceTo(b, dSum, skip.shape) : undefined;
      if (dy && wants(2)) result[2] = reduceTo(b, binary(b, 'Mul', dy, n.value), weight.shape);
      if (dy && beta && wants(3)) result[3] = reduceTo(b, dy, beta.shape);
      if (bias && wants(biasInput)) result[biasInput] = reduceTo(b, dSum, bias.shape);
      return result;
    },
    channels(context) {
      const rank = context.inputs[0]?.shape?.length ?? 0;
      for (const input of [0, 1]) if (!isInitializer(context, input)) freezeAxes(context, REASON, [rank - 1], input);
      for (let at = 0; at < rank - 1; at++) {
        const atoms = joinAxes(context, [
          { input: 0, axis: at },
          { input: 1, axis: at },
        ]);
        for (const output of [0, 3]) if (context.outputs.length > output) context.setOutput(output, at, atoms);
      }
      if (rank === 0) context.freeze(context.atoms(0, 0), `${nodeLabel(context)} ${REASON}`);
    },
  };
}

export const layerNormalizations: readonly Operator[] = [
  layerNormalization('LayerNormalization', true),
  layerNormalization('RMSNormalization', false),
  layerNormalization('SimplifiedLayerNormalization', false),
  skipNormalization('SkipLayerNormalization', true),
  skipNormalization('SkipSimplifiedLayerNormalization', false),
];
