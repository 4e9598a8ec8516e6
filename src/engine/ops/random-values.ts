/** Random values, and tensors made from a shape alone: nothing of the network passes through. */
import { attr } from '../onnx/model';
import { dataTypeOf } from '../onnx/tensor';
import { keepsChannels } from './channel-axes';
import type { InferContext, Operator, ValueType } from './operator';

const typeOf = ({ node, inputs }: InferContext): ValueType['type'] =>
  dataTypeOf(attr.int(node, 'dtype', 0)) ?? inputs[0]?.type ?? 'float32';

const noGradient = 'draws its values at random';
const whole = keepsChannels('draws as many values at random');

/** The shape of the input, with drawn values. */
const drawnLike = (opType: string): Operator => ({
  opTypes: [opType],
  infer: (context): ValueType[] => [{ type: typeOf(context), shape: context.inputs[0]?.shape }],
  noGradient,
  ...whole,
});

/** The shape that the attribute names. */
const drawn = (opType: string): Operator => ({
  opTypes: [opType],
  infer: (context): ValueType[] => [{ type: typeOf(context), shape: attr.ints(context.node, 'shape') }],
  noGradient,
  ...whole,
});

export const randomValues: readonly Operator[] = [
  drawnLike('Bernoulli'),
  drawnLike('RandomNormalLike'),
  drawnLike('RandomUniformLike'),
  drawn('RandomNormal'),
  drawn('RandomUniform'),
];
