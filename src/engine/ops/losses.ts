/** The standard's own losses: shapes only. Training makes its loss itself (training/losses.ts). */
import { attr } from '../onnx/model';
import { keepsChannels } from './channel-axes';
import type { InferContext, Operator, ValueType } from './operator';

/** One number, or one for each label where nothing is reduced. */
const lossShape = ({ node, inputs }: InferContext): ValueType['shape'] =>
  attr.string(node, 'reduction', 'mean') === 'none' ? inputs[1]?.shape : [];

const whole = keepsChannels('takes each as the score of a class');

export const losses: readonly Operator[] = [
  {
    opTypes: ['SoftmaxCrossEntropyLoss'],
    infer: (context): ValueType[] => {
      const type = context.inputs[0]?.type ?? 'float32';
      return [
        { type, shape: lossShape(context) },
        { type, shape: context.inputs[0]?.shape },
      ];
    },
    ...whole,
  },
  {
    opTypes: ['NegativeLogLikelihoodLoss'],
    infer: (context): ValueType[] => [{ type: context.inputs[0]?.type ?? 'float32', shape: lossShape(context) }],
    ...whole,
  },
];
