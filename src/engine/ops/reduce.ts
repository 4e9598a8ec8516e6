/** Reductions along axes: sums, means, norms, extremes, ArgMax. */
import { attr, type Dim, type Shape } from '../onnx/model';
import { dataTypeCode } from '../onnx/tensor';
import { givenInts, normalizeAxes, normalizeAxis, unknownShape } from './axes';
import { reshapeTo } from './broadcast';
import type { Value } from './builder';
import { freezeAxes, passAxes } from './channel-axes';
import { scaled, times } from './elementwise-support';
import type { ChannelContext, GradientContext, InferContext, Operator } from './operator';

/** The axes that are reduced; undefined where they are not known. From set `since` on they are an input. */
function reducedAxes(context: Pick<InferContext, 'node' | 'opset' | 'inputs'>, rank: number, since: number): number[] | undefined {
  const given = givenInts(context, 'axes', 1, since);
  if (given === 'unknown') return undefined;
  const axes = given === 'absent' ? [] : normalizeAxes(given, rank);
  if (axes.length > 0) return axes;
  return attr.int(context.node, 'noop_with_empty_axes', 0) === 1 ? [] : Array.from({ length: rank }, (_, axis) => axis);
}

const keepsAxes = ({ node }: Pick<InferContext, 'node'>): boolean => attr.int(node, 'keepdims', 1) === 1;

function reducedShape(shape: Shape, axes: readonly number[], keep: boolean): Shape {
  return shape.flatMap((d, axis): Dim[] => (axes.includes(axis) ? (keep ? [1] : []) : [d]));
}

/** A reduced axis needs all its channels; the others pass, moved up where reduced axes go. */
function reductionChannels(context: ChannelContext, axes: readonly number[] | undefined): void {
  if (!axes) {
    freezeAxes(context, 'reduces axes that are not known before the model runs');
    return;
  }
  freezeAxes(context, 'reduces them to one value, which removing a channel would change', axes);
  const rank = context.inputs[0]?.shape?.length ?? 0;
  const kept = Array.from({ length: rank }, (_, axis) => axis).filter((axis) => !axes.includes(axis));
  passAxes(
    context,
    kept.map((axis, position) => [axis, keepsAxes(context) ? axis : position]),
  );
}

interface Reduction {
  readonly opType: string;
  /** First operator set whose axes are an input. */
  readonly since: number;
  /** dL/dx from x, and from y and dy in the shape that keeps the reduced axes (length 1). The result is stretched to x. */
  derivative?(context: GradientContext, x: Value, y: Value, dy: Value, axes: readonly number[]): Value;
}

function reduction({ opType, since, derivative }: Reduction): Operator {
  const axesOf = (context: Pick<InferContext, 'node' | 'opset' | 'inputs'>) => {
    const rank = context.inputs[0]?.shape?.length;
    return rank === undefined ? undefined : reducedAxes(context, rank, since);
  };
  return {
    opTypes: [opType],
    infer(context) {
      const input = context.inputs[0];
      const type = input?.type ?? 'float32';
      if (!input?.shape) return [{ type }];
      const axes = axesOf(context);
      if (!axes) return [{ type, shape: keepsAxes(context) ? unknownShape(input.shape.length) : undefined }];
      return [{ type, shape: reducedShape(input.shape, axes, keepsAxes(context)) }];
    },
    ...(derivative && {
      gradient(context, [dy]) {
        const { b, node, opset, inputs, outputs } = context;
        const x = inputs[0]!;
        const axesInput = inputs[1] && { type: inputs[1].type, shape: inputs[1].shape, value: b.constantOf(inputs[1]) };
        const axes = reducedAxes({ node, opset, inputs: [x, axesInput] }, x.shape.length, since);
        if (!dy || !axes) return [undefined];
        const shape = reducedShape(x.shape, axes, true) as readonly number[];
        const dx = derivative(context, x, reshapeTo(b, outputs[0], shape), reshapeTo(b, dy, shape), axes);
        return [dx.shape.every((d, i) => d === x.shape[i]) ? dx : b.op('Expand', [dx, b.ints(x.shape)])];
      },
    }),
    channels: (context) => reductionChannels(context, axesOf(context)),
  };
}

/** Elements that fall together. */
const reducedCount = (x: Value, axes: readonly number[]): number => axes.reduce((n, axis) => n * x.shape[axis], 1);

/** An extreme sends the gradient to the element that was chosen, in equal parts where several are equal. */
const extreme: Reduction['derivative'] = ({ b }, x, y, dy, axes) => {
  const chosen = b.op('Cast', [b.op('Equal', [x, y])], { to: dataTypeCode('float32') });
  const count = axes.length > 0 ? b.op('ReduceSum', [chosen, b.ints(axes)], { keepdims: 1 }) : chosen;
  return times(b, chosen, b.op('Div', [dy, count]));
};

const argExtreme: Operator = {
  opTypes: ['ArgMax', 'ArgMin'],
  infer(context) {
    const shape = context.inputs[0]?.shape;
    if (!shape) return [{ type: 'int64' }];
    const axis = normalizeAxis(attr.int(context.node, 'axis', 0), shape.length);
    return [{ type: 'int64', shape: reducedShape(shape, [axis], keepsAxes(context)) }];
  },
  noGradient: 'gives positions, not values',
  channels(context) {
    const rank = context.inputs[0]?.shape?.length;
    reductionChannels(context, rank === undefined ? undefined : [normalizeAxis(attr.int(context.node, 'axis', 0), rank)]);
  },
};

export const reductions: readonly Operator[] = [
  reduction({ opType: 'ReduceMean', since: 18, derivative: ({ b }, x, _, dy, axes) => scaled(b, dy, 1 / reducedCount(x, axes)) }),
  reduction({ opType: 'ReduceSum', since: 13, derivative: (_context, _x, _y, dy) => dy }),
  reduction({ opType: 'ReduceMax', since: 18, derivative: extreme }),
  reduction({ opType: 'ReduceMin', since: 18, derivative: extreme }),
  reduction({ opType: 'ReduceSumSquare', since: 18, derivative: ({ b }, x, _, dy) => times(b, x, scaled(b, dy, 2)) }),
  reduction({ opType: 'ReduceL2', since: 18, derivative: ({ b }, x, y, dy) => times(b, x, b.op('Div', [dy, y])) }),
  reduction({ opType: 'ReduceL1', since: 18, derivative: ({ b }, x, _, dy) => times(b, b.op('Sign', [x]), dy) }),
  reduction({ opType: 'ReduceLogSumExp', since: 18, derivative: ({ b }, x, y, dy) => times(b, b.op('Exp', [b.op('Sub', [x, y])]), dy) }),
  reduction({ opType: 'ReduceLogSum', since: 18, derivative: ({ b }, _x, y, dy) => times(b, dy, b.op('Exp', [b.op('Neg', [y])])) }),
  // The product of the others; a factor of 0 leaves no quotient to take it from.
  reduction({ opType: 'ReduceProd', since: 18, derivative: ({ b }, x, y, dy) => b.op('Div', [times(b, y, dy), x]) }),
  argExtreme,
];
