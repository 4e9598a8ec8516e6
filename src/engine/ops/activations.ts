/** Elementwise functions of one value: shape and channels pass through unchanged. Derivatives are those of the ONNX definitions. */
import { UserError } from '../errors';
import { attr } from '../onnx/model';
import type { GraphBuilder, Value } from './builder';
import { elementwise, oneMinus, passChannels, sameAsFirst, scaled, shifted, step, times } from './elementwise-support';
import type { GradientContext, InferContext, Operator } from './operator';

const relu = elementwise('Relu', ({ b }, dy, _, y) => times(b, dy, step(b, y)));

const leakyRelu = elementwise('LeakyRelu', ({ b, node }, dy, x) => {
  const alpha = attr.float(node, 'alpha', 0.01);
  return times(b, dy, shifted(b, scaled(b, step(b, x), 1 - alpha), alpha));
});

const sigmoid = elementwise('Sigmoid', ({ b }, dy, _, y) => times(b, dy, times(b, y, oneMinus(b, y))));
const tanh = elementwise('Tanh', ({ b }, dy, _, y) => times(b, dy, oneMinus(b, times(b, y, y))));
const softplus = elementwise('Softplus', ({ b }, dy, x) => times(b, dy, b.op('Sigmoid', [x])));
const softsign = elementwise('Softsign', ({ b }, dy, x) => {
  const d = shifted(b, b.op('Abs', [x]), 1);
  return b.op('Div', [dy, times(b, d, d)]);
});

/** 1 where 0 < h < 1: where a hard sigmoid is not cut off. */
const inside = (b: GraphBuilder, h: Value): Value => times(b, step(b, h), step(b, oneMinus(b, h)));

const hardSigmoid = elementwise('HardSigmoid', ({ b, node }, dy, _, y) =>
  times(b, dy, scaled(b, inside(b, y), attr.float(node, 'alpha', 0.2))),
);

// y = x·h(x), h = clip(x/6 + 1/2, 0, 1), so y' = h + x·h'.
const hardSwish = elementwise('HardSwish', ({ b }, dy, x) => {
  const h = b.op('HardSigmoid', [x], { alpha: { float: 1 / 6 }, beta: { float: 0.5 } });
  return times(b, dy, b.op('Add', [h, times(b, scaled(b, x, 1 / 6), inside(b, h))]));
});

const elu = elementwise('Elu', ({ b, node }, dy, x, y) => {
  const alpha = attr.float(node, 'alpha', 1);
  // Below zero y' = alpha·exp(x) = y + alpha.
  const below = shifted(b, b.op('Min', [y, b.scalar(0)]), alpha);
  return times(b, dy, b.op('Where', [b.op('Greater', [x, b.scalar(0)]), b.scalar(1), below]));
});

const exp = elementwise('Exp', ({ b }, dy, _, y) => times(b, dy, y));
const log = elementwise('Log', ({ b }, dy, x) => b.op('Div', [dy, x]));
const sqrt = elementwise('Sqrt', ({ b }, dy, _, y) => b.op('Div', [scaled(b, dy, 0.5), y]), Math.sqrt);
const abs = elementwise('Abs', ({ b }, dy, x) => times(b, dy, b.op('Sign', [x])), Math.abs);
const neg = elementwise(
  'Neg',
  ({ b }, dy) => b.op('Neg', [dy]),
  (x) => -x,
);
const reciprocal = elementwise('Reciprocal', ({ b }, dy, _, y) => b.op('Neg', [times(b, dy, times(b, y, y))]));

const erf = elementwise('Erf', ({ b }, dy, x) =>
  times(b, dy, scaled(b, b.op('Exp', [b.op('Neg', [times(b, x, x)])]), 2 / Math.sqrt(Math.PI))),
);

// Constant almost everywhere: no gradient passes.
const sign = elementwise('Sign', undefined, Math.sign);
const floor = elementwise('Floor', undefined, Math.floor);
const ceil = elementwise('Ceil', undefined, Math.ceil);
const round = elementwise('Round', undefined, (x) => {
  const down = Math.floor(x);
  // Halves go to the even neighbour (ONNX Round).
  return x - down === 0.5 ? down + (Math.abs(down) % 2) : Math.round(x);
});

/** Bounds of a Clip: attributes up to operator set 10, optional inputs from 11 on. */
function clipBounds(context: GradientContext): [low: Value | undefined, high: Value | undefined] {
  const { node, b, inputs, opset } = context;
  if (opset >= 11 && !node.attributes.has('min') && !node.attributes.has('max')) return [inputs[1], inputs[2]];
  const bound = (name: string): Value | undefined => (node.attributes.has(name) ? b.scalar(attr.float(node, name, Number.NaN)) : undefined);
  return [bound('min'), bound('max')];
}

const clip = elementwise('Clip', (context, dy, _, y) => {
  const { b } = context;
  const [low, high] = clipBounds(context);
  let masked = dy;
  if (low) masked = times(b, masked, step(b, b.op('Sub', [y, low])));
  if (high) masked = times(b, masked, step(b, b.op('Sub', [high, y])));
  return masked;
});

/** The parts of Gelu, y = x·p(x): p and its derivative, exact (by Erf) or by the tanh approximation (Hendrycks, Gimpel 2016). */
export function geluParts(b: GraphBuilder, approximate: string, x: Value): { p: Value; slope: () => Value } {
  const square = times(b, x, x);
  if (approximate === 'tanh') {
    const c = Math.sqrt(2 / Math.PI);
    const t = b.op('Tanh', [scaled(b, times(b, x, shifted(b, scaled(b, square, 0.044715), 1)), c)]);
    // p = (1 + t)/2, p' = (1 − t²)/2 · c·(1 + 3·0.044715·x²)
    return {
      p: shifted(b, scaled(b, t, 0.5), 0.5),
      slope: () => times(b, oneMinus(b, times(b, t, t)), scaled(b, shifted(b, scaled(b, square, 3 * 0.044715), 1), c / 2)),
    };
  }
  return {
    p: shifted(b, scaled(b, b.op('Erf', [scaled(b, x, Math.SQRT1_2)]), 0.5), 0.5),
    slope: () => scaled(b, b.op('Exp', [scaled(b, square, -0.5)]), 1 / Math.sqrt(2 * Math.PI)),
  };
}

/** Gelu is an operator since set 20; training graphs (set 17) spell it out. */
const gelu: Operator = {
  opTypes: ['Gelu'],
  infer: sameAsFirst,
  training({ b, node, inputs }) {
    const x = inputs[0]!;
    const { p, slope } = geluParts(b, attr.string(node, 'approximate', 'none'), x);
    return {
      outputs: [times(b, x, p)],
      backward: ([dy]) => [dy && times(b, dy, b.op('Add', [p, times(b, x, slope())]))],
    };
  },
  channels: passChannels,
};

const identity = elementwise(
  'Identity',
  (_, dy) => dy,
  (x) => x,
);

/** Share of values that a Dropout sets to zero: an attribute up to operator set 11, an input from 12 on, 0.5 where neither is given. */
function dropoutRatio(context: Pick<GradientContext, 'node' | 'b' | 'inputs'>): number {
  const { node, b, inputs } = context;
  const given = inputs[1] && b.constantOf(inputs[1]);
  if (inputs[1] && !given) throw new UserError(`the ratio of Dropout '${node.name || node.outputs[0]}' is not a constant`);
  const ratio = given ? given.numbers()[0] : attr.float(node, 'ratio', 0.5);
  if (!(ratio >= 0 && ratio < 1))
    throw new UserError(`Dropout '${node.name || node.outputs[0]}' has the ratio ${ratio}`, 'A ratio from 0 to below 1 is needed.');
  return ratio;
}

/** Passes values on as they are, except in training (Srivastava et al. 2014, "inverted": what stays is scaled by 1/(1 − ratio)). */
const dropout: Operator = {
  opTypes: ['Dropout'],
  infer: (context: InferContext) => {
    const [first] = sameAsFirst(context);
    // Before set 10 the mask had the data's type.
    return [first, { type: context.opset >= 10 ? 'bool' : first.type, shape: first.shape }];
  },
  gradient: (_, [dy]) => [dy],
  training(context) {
    const { b, inputs } = context;
    const x = inputs[0]!;
    const ratio = dropoutRatio(context);
    if (ratio === 0) return { outputs: [x], backward: ([dy]) => [dy] };
    const kept = step(b, shifted(b, context.random('uniform', x.shape), -ratio));
    const mask = scaled(b, kept, 1 / (1 - ratio));
    return { outputs: [times(b, x, mask)], backward: ([dy]) => [dy && times(b, dy, mask)] };
  },
  channels: passChannels,
};

export const activations: readonly Operator[] = [
  relu,
  leakyRelu,
  sigmoid,
  tanh,
  softplus,
  softsign,
  hardSigmoid,
  hardSwish,
  elu,
  exp,
  log,
  sqrt,
  abs,
  neg,
  reciprocal,
  erf,
  sign,
  floor,
  ceil,
  round,
  clip,
  gelu,
  identity,
  dropout,
];
