/** Operators on whole numbers and on single bits, and tests of floating-point numbers: no gradient passes. */
import { attr } from '../onnx/model';
import { broadcastOperator } from './arithmetic';
import { broadcastChannels, broadcastShapes } from './broadcast';
import { passChannels } from './elementwise-support';
import type { Operator, ValueType } from './operator';

const noGradient = 'works on whole numbers, which change in steps';

const bitwise = (opType: string): Operator => ({
  opTypes: [opType],
  infer: ({ inputs }): ValueType[] => [{ type: inputs[0]?.type ?? 'int32', shape: broadcastShapes(inputs.map((i) => i?.shape)) }],
  noGradient,
  channels: broadcastChannels,
});

/** True where a number is not a number, or infinite. */
const numberTest = (opType: string): Operator => ({
  opTypes: [opType],
  infer: ({ inputs }): ValueType[] => [{ type: 'bool', shape: inputs[0]?.shape }],
  noGradient: 'gives true or false',
  channels: passChannels,
});

/** Remainder: with the sign of the divisor, or of the dividend where fmod is 1. */
const mod: Operator = {
  ...bitwise('Mod'),
  infer(context) {
    const [plain] = broadcastOperator('Mod', {
      compute: attr.int(context.node, 'fmod', 0) === 1 ? (x, y) => x % y : (x, y) => ((x % y) + y) % y,
    }).infer(context);
    return [plain];
  },
  noGradient: 'jumps where the divisor fits in once more',
};

export const bits: readonly Operator[] = [
  ...['BitwiseAnd', 'BitwiseOr', 'BitwiseXor', 'BitwiseNot', 'BitShift'].map(bitwise),
  ...['IsNaN', 'IsInf'].map(numberTest),
  mod,
];
