/** Cast: another data type, the same shape and channels. */
import { UserError } from '../errors';
import { attr } from '../onnx/model';
import { dataTypeCode, dataTypeOf, isFloat } from '../onnx/tensor';
import { freezeAxes } from './channel-axes';
import { passChannels } from './elementwise-support';
import { foldElementwise } from './folding';
import type { Operator } from './operator';

const cast: Operator = {
  opTypes: ['Cast'],
  infer({ node, inputs }) {
    const code = attr.int(node, 'to', 0);
    const type = dataTypeOf(code);
    if (!type) throw new UserError(`casts to the unknown data type ${code}`);
    const whole = !isFloat(type);
    return [{ type, shape: inputs[0]?.shape, value: foldElementwise([inputs[0]], type, whole && type !== 'bool' ? Math.trunc : (x) => x) }];
  },
  gradient({ b, inputs, outputs }, [dy]) {
    const x = inputs[0]!;
    if (!dy || !isFloat(x.type) || !isFloat(outputs[0].type)) return [undefined];
    return [x.type === dy.type ? dy : b.op('Cast', [dy], { to: dataTypeCode(x.type) })];
  },
  channels: passChannels,
};

/** The type of the second input. */
const castLike: Operator = {
  ...cast,
  opTypes: ['CastLike'],
  infer({ inputs }) {
    const type = inputs[1]?.type ?? 'float32';
    const whole = !isFloat(type) && type !== 'bool';
    return [{ type, shape: inputs[0]?.shape, value: foldElementwise([inputs[0]], type, whole ? Math.trunc : (x) => x) }];
  },
  channels(context) {
    passChannels(context);
    // Only the type of the second input is looked at; its channels are not read.
    freezeAxes(context, 'takes them for an example of a type', undefined, 1);
  },
};

export const casts: readonly Operator[] = [cast, castLike];
