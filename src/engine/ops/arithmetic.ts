/** Elementwise operators of several values, with numpy broadcasting. */
import { UserError } from '../errors';
import type { Shape } from '../onnx/model';
import { dataTypeCode, isFloat } from '../onnx/tensor';
import { broadcastChannels, broadcastShapes, reduceTo } from './broadcast';
import type { Value } from './builder';
import { freezeAxes, nodeLabel } from './channel-axes';
import { scaled, times } from './elementwise-support';
import { foldElementwise } from './folding';
import type { GradientContext, InferContext, InputGradients, Operator, ValueType } from './operator';

/** Emits the gradient of input `i` in the shape of the output; the caller sums it over the stretched axes. */
type Derivative = (context: GradientContext, dy: Value, i: number) => Value;

interface Options {
  readonly derivative?: Derivative;
  readonly compute?: (...values: number[]) => number;
  /** 'bool' for comparisons; the type of the first input where absent. */
  readonly type?: 'bool';
}

/** An elementwise operator over broadcast inputs. */
export function broadcastOperator(opType: string, { derivative, compute, type }: Options): Operator {
  return {
    opTypes: [opType],
    infer(context): ValueType[] {
      const { inputs } = context;
      const outputType = type ?? inputs[0]?.type ?? 'float32';
      if (stretchesByAxis(context)) return [{ type: outputType, shape: inputs[0]?.shape }];
      const shape = broadcastShapes(inputs.map((i) => i?.shape));
      const exact = outputType === 'float32' || outputType === 'float64' || compute === undefined;
      // Integer division and the like cut toward zero.
      const whole = exact || outputType === 'bool' ? compute : (...values: number[]) => Math.trunc(compute(...values));
      return [{ type: outputType, shape, value: whole && foldElementwise(inputs, outputType, whole) }];
    },
    ...(derivative && {
      gradient: (context, [dy]): InputGradients => {
        if (stretchesByAxis(context))
          throw new UserError(
            `${nodeLabel(context)} ${BY_AXIS}, through which no gradient is known`,
            'Export the model with operator set 7 or newer.',
          );
        return context.inputs.map((input, i) =>
          dy && input && context.wants(i) && isFloat(input.type) ? reduceTo(context.b, derivative(context, dy, i), input.shape) : undefined,
        );
      },
    }),
    ...(!derivative && { noGradient: type === 'bool' ? 'gives true or false' : 'changes its result only in steps' }),
    channels(context) {
      if (!stretchesByAxis(context)) return broadcastChannels(context);
      context.inputs.forEach((_, input) => {
        freezeAxes(context, BY_AXIS, undefined, input);
      });
    },
  };
}

const BY_AXIS = 'stretches its second input along a stated axis, as operator sets before 7 do';

/** Before set 7 the second input is stretched to the first one's shape along a stated axis; PRelu has a slope for each channel. */
function stretchesByAxis({
  opset,
  inputs,
}: Pick<InferContext, 'opset'> & { readonly inputs: ReadonlyArray<{ readonly shape?: Shape } | undefined> }): boolean {
  if (opset >= 7 || inputs.length !== 2) return false;
  const [a, b] = [inputs[0]?.shape, inputs[1]?.shape];
  // Equal shapes and single numbers mean the same in all sets.
  if (!a || !b || b.length === 0) return false;
  return a.length !== b.length || a.some((d, axis) => d !== b[axis]);
}

const add = broadcastOperator('Add', { derivative: (_, dy) => dy, compute: (x, y) => x + y });
const sum = broadcastOperator('Sum', { derivative: (_, dy) => dy, compute: (...values) => values.reduce((x, y) => x + y, 0) });
const mean = broadcastOperator('Mean', {
  derivative: ({ b, inputs }, dy) => scaled(b, dy, 1 / inputs.length),
  compute: (...values) => values.reduce((x, y) => x + y, 0) / values.length,
});
const sub = broadcastOperator('Sub', {
  derivative: ({ b }, dy, i) => (i === 0 ? dy : b.op('Neg', [dy])),
  compute: (x, y) => x - y,
});
const mul = broadcastOperator('Mul', { derivative: ({ b, inputs }, dy, i) => times(b, dy, inputs[1 - i]!), compute: (x, y) => x * y });

const div = broadcastOperator('Div', {
  derivative({ b, inputs, outputs }, dy, i) {
    const over = b.op('Div', [dy, inputs[1]!]);
    return i === 0 ? over : b.op('Neg', [times(b, over, outputs[0])]);
  },
  compute: (x, y) => (y === 0 ? Number.NaN : x / y),
});

const pow = broadcastOperator('Pow', {
  derivative({ b, inputs, outputs }, dy, i) {
    const [x, exponent] = [inputs[0]!, inputs[1]!];
    if (i === 1) return times(b, dy, times(b, outputs[0], b.op('Log', [x])));
    const constant = b.constantOf(exponent);
    if (constant?.size === 1 && constant.numbers()[0] === 2) return times(b, dy, times(b, x, b.scalar(2)));
    const p = exponent.type === x.type ? exponent : b.op('Cast', [exponent], { to: dataTypeCode(x.type) });
    return times(b, dy, times(b, p, b.op('Pow', [x, b.op('Sub', [p, b.scalar(1)])])));
  },
  compute: (x, y) => x ** y,
});

/** Min and Max send the gradient to the input that was chosen, in equal parts where several are equal. */
const choose: Derivative = ({ b, inputs, outputs }, dy, i) => {
  const chosen = (v: Value): Value => b.op('Cast', [b.op('Equal', [v, outputs[0]])], { to: dataTypeCode('float32') });
  const mine = chosen(inputs[i]!);
  const count = inputs.map((v, j) => (j === i ? mine : chosen(v!))).reduce((x, y) => b.op('Add', [x, y]));
  return times(b, dy, b.op('Div', [mine, count]));
};
const min = broadcastOperator('Min', { derivative: choose, compute: Math.min });
const max = broadcastOperator('Max', { derivative: choose, compute: Math.max });

/** x where x > 0, slope·x elsewhere; the slope is stretched to x. */
const prelu = broadcastOperator('PRelu', {
  derivative({ b, inputs }, dy, i) {
    const x = inputs[0]!;
    if (i === 1) return times(b, dy, b.op('Min', [x, b.scalar(0)]));
    return times(b, dy, b.op('Where', [b.op('Greater', [x, b.scalar(0)]), b.scalar(1), inputs[1]!]));
  },
});

const compare = (opType: string, compute: (x: number, y: number) => boolean): Operator =>
  broadcastOperator(opType, { type: 'bool', compute: (x, y) => Number(compute(x, y)) });

export const arithmetic: readonly Operator[] = [
  add,
  sum,
  mean,
  sub,
  mul,
  div,
  pow,
  min,
  max,
  prelu,
  compare('Equal', (x, y) => x === y),
  compare('Greater', (x, y) => x > y),
  compare('GreaterOrEqual', (x, y) => x >= y),
  compare('Less', (x, y) => x < y),
  compare('LessOrEqual', (x, y) => x <= y),
  compare('And', (x, y) => x !== 0 && y !== 0),
  compare('Or', (x, y) => x !== 0 || y !== 0),
  compare('Xor', (x, y) => (x !== 0) !== (y !== 0)),
  broadcastOperator('Not', { type: 'bool', compute: (x) => Number(x === 0) }),
];
