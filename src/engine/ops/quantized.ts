/**
 * Operators of models that are quantised already: shapes only. Neither gradients nor channels pass; whole-number codes have no
 * derivative, and scales belong to the channels as they are.
 */
import { attr } from '../onnx/model';
import { dataTypeOf } from '../onnx/tensor';
import { keepsChannels } from './channel-axes';
import { conv } from './conv';
import { matmul } from './matmul';
import type { InferContext, Operator, ValueType } from './operator';

const noGradient = 'works on whole-number codes, which change in steps';

const whole = keepsChannels('works on a model that is quantised already');

/** The data type that an attribute names. */
const typeAttribute = ({ node }: Pick<InferContext, 'node'>, name: string): ValueType['type'] | undefined =>
  dataTypeOf(attr.int(node, name, 0));

const quantizeLinear: Operator = {
  opTypes: ['QuantizeLinear'],
  // Without a zero point the attribute says the type (set 21); uint8 where nothing does.
  infer: (context): ValueType[] => [
    { type: context.inputs[2]?.type ?? typeAttribute(context, 'output_dtype') ?? 'uint8', shape: context.inputs[0]?.shape },
  ],
  noGradient,
  ...whole,
};

const dequantizeLinear: Operator = {
  opTypes: ['DequantizeLinear'],
  infer: ({ inputs }): ValueType[] => [{ type: inputs[1]?.type ?? 'float32', shape: inputs[0]?.shape }],
  noGradient,
  ...whole,
};

const dynamicQuantizeLinear: Operator = {
  opTypes: ['DynamicQuantizeLinear'],
  infer: ({ inputs }): ValueType[] => [
    { type: 'uint8', shape: inputs[0]?.shape },
    { type: 'float32', shape: [] },
    { type: 'uint8', shape: [] },
  ],
  noGradient,
  ...whole,
};

/** The same node with only its data inputs, as the operator on floats has them. */
const floatForm = (context: InferContext, inputs: readonly number[]): InferContext => ({
  ...context,
  node: { ...context.node, inputs: inputs.map((i) => context.node.inputs[i]) },
  inputs: inputs.map((i) => context.inputs[i]),
});

const integerForm = (opType: string, like: Operator): Operator => ({
  opTypes: [opType],
  infer: (context) => like.infer(floatForm(context, [0, 1])).map((t): ValueType => ({ ...t, type: 'int32' })),
  noGradient,
  ...whole,
});

/** With scales and zero points beside each operand: x, x scale, x zero, w, w scale, w zero, y scale, y zero. */
const linearForm = (opType: string, like: Operator): Operator => ({
  opTypes: [opType],
  infer: (context) =>
    like
      .infer(floatForm(context, [0, 3]))
      .map((t): ValueType => ({ ...t, type: context.inputs[7]?.type ?? context.inputs[0]?.type ?? 'uint8' })),
  noGradient,
  ...whole,
});

export const quantized: readonly Operator[] = [
  quantizeLinear,
  dequantizeLinear,
  dynamicQuantizeLinear,
  integerForm('ConvInteger', conv),
  integerForm('MatMulInteger', matmul),
  linearForm('QLinearConv', conv),
  linearForm('QLinearMatMul', matmul),
];
