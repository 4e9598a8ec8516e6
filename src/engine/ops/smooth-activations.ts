/** Activations that later papers and operator sets added, and onnxruntime's own forms of Gelu; all elementwise. */
import { attr } from '../onnx/model';
import { geluParts } from './activations';
import { broadcastChannels, reduceTo } from './broadcast';
import type { GraphBuilder, Value } from './builder';
import { elementwise, oneMinus, passChannels, sameAsFirst, scaled, shifted, step, times } from './elementwise-support';
import type { GradientContext, InputGradients, Operator, OutputGradients, ValueType } from './operator';

const positive = (b: GraphBuilder, x: Value): Value => b.op('Greater', [x, b.scalar(0)]);

/** Klambauer et al. 2017: γ·x above zero, γ·α·(exp(x) − 1) below. */
const selu = elementwise('Selu', ({ b, node }, dy, x, y) => {
  const alpha = attr.float(node, 'alpha', 1.6732631921768188);
  const gamma = attr.float(node, 'gamma', 1.0507010221481323);
  // Below zero y' = γ·α·exp(x) = y + γ·α.
  const below = shifted(b, b.op('Min', [y, b.scalar(0)]), gamma * alpha);
  return times(b, dy, b.op('Where', [positive(b, x), b.scalar(gamma), below]));
});

/** Barron 2017: max(0, x) + min(0, α·(exp(x/α) − 1)). */
const celu = elementwise('Celu', ({ b, node }, dy, x) => {
  const alpha = attr.float(node, 'alpha', 1);
  const below = b.op('Exp', [b.op('Min', [scaled(b, x, 1 / alpha), b.scalar(0)])]);
  return times(b, dy, b.op('Where', [positive(b, x), b.scalar(1), below]));
});

/** x where x > alpha, 0 elsewhere. */
const thresholdedRelu = elementwise('ThresholdedRelu', ({ b, node }, dy, x) =>
  times(b, dy, step(b, shifted(b, x, -attr.float(node, 'alpha', 1)))),
);

/** x moved by `bias` toward zero where |x| > lambd, 0 elsewhere. */
const shrink = elementwise('Shrink', ({ b, node }, dy, x) =>
  times(b, dy, step(b, shifted(b, b.op('Abs', [x]), -attr.float(node, 'lambd', 0.5)))),
);

/** Misra 2019: y = x·t, t = tanh(softplus(x)), so y' = t + x·(1 − t²)·sigmoid(x). Spelt out in training: it is an operator since set 18. */
const mish: Operator = {
  opTypes: ['Mish'],
  infer: sameAsFirst,
  training({ b, inputs }) {
    const x = inputs[0]!;
    const t = b.op('Tanh', [b.op('Softplus', [x])]);
    return {
      outputs: [times(b, x, t)],
      backward: ([dy]) => [dy && times(b, dy, b.op('Add', [t, times(b, times(b, x, oneMinus(b, times(b, t, t))), b.op('Sigmoid', [x]))]))],
    };
  },
  channels: passChannels,
};

/** Ramachandran et al. 2017: y = x·s, s = sigmoid(alpha·x), so y' = s + alpha·y·(1 − s). */
function swishLike(opType: string, domain: string, defaultAlpha: number): Operator {
  return {
    opTypes: [opType],
    domain,
    infer: sameAsFirst,
    training({ b, node, inputs }) {
      const x = inputs[0]!;
      const alpha = attr.float(node, 'alpha', defaultAlpha);
      const s = b.op('Sigmoid', [scaled(b, x, alpha)]);
      const y = times(b, x, s);
      return {
        outputs: [y],
        backward: ([dy]) => [dy && times(b, dy, b.op('Add', [s, scaled(b, times(b, y, oneMinus(b, s)), alpha)]))],
      };
    },
    channels: passChannels,
  };
}

/** Gelu(x + bias), as onnxruntime's optimiser writes it; the bias may be left out. */
function biasedGelu(opType: string, approximate: 'none' | 'tanh'): Operator {
  return {
    opTypes: [opType],
    domain: 'com.microsoft',
    infer: ({ inputs }): ValueType[] => [{ type: inputs[0]?.type ?? 'float32', shape: inputs[0]?.shape }],
    gradient({ b, inputs, wants }: GradientContext, [dy]: OutputGradients): InputGradients {
      const [x, bias] = inputs;
      if (!x || !dy) return [];
      const sum = bias ? b.op('Add', [x, bias]) : x;
      const { p, slope } = geluParts(b, approximate, sum);
      const dSum = times(b, dy, b.op('Add', [p, times(b, sum, slope())]));
      return [dSum, bias && wants(1) ? reduceTo(b, dSum, bias.shape) : undefined];
    },
    channels: broadcastChannels,
  };
}

export const smoothActivations: readonly Operator[] = [
  selu,
  celu,
  thresholdedRelu,
  shrink,
  mish,
  swishLike('Swish', '', 1),
  swishLike('QuickGelu', 'com.microsoft', 1.702),
  biasedGelu('Gelu', 'none'),
  biasedGelu('BiasGelu', 'none'),
  biasedGelu('FastGelu', 'tanh'),
];
