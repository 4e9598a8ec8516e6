/** Activation functions, as layers of their own and as settings of other layers. */
import type { Value } from '../ops/builder';
import { carried, DAMAGED, type Dialect, graphAxis, type LayerContext, type LayerReader, numberOf, only, refuse } from './keras-context';
import { isList, isObject, type Json } from './keras-topology';
import { permuted, rowsInOrder } from './weights';

/** Self-normalising networks' constants (Klambauer et al. 2017): scale and alpha. */
const SELU = { scale: 1.0507009873554805, alpha: 1.6732632423543772 };

type Activation = (context: LayerContext, x: Value, part: string) => Value;

const one =
  (opType: string, attributes: Record<string, { float: number }> = {}): Activation =>
  (c, x, part) =>
    c.op(opType, [x], attributes, part, { types: [x] });

const float = (value: number): { float: number } => ({ float: value });
const within = (part: string, step: string): string => (part === '' ? step : `${part}/${step}`);

const softmax =
  (opType: string): Activation =>
  (c, x, part) =>
    c.op(opType, [x], { axis: graphAxis(c, -1, x.shape.length) }, part);

/** x · g(x) */
const gated =
  (gate: Activation): Activation =>
  (c, x, part) =>
    c.op('Mul', [x, gate(c, x, within(part, 'gate'))], {}, part);

/** From 0 to `most`. */
const clipped =
  (most: number): Activation =>
  (c, x, part) =>
    c.op('Clip', [x, c.b.scalar(0), c.b.scalar(most)], {}, part);

/** Half of 1 + f. */
const half = (c: LayerContext, f: Value, part: string): Value =>
  c.op('Mul', [c.op('Add', [f, c.b.scalar(1)], {}, within(part, 'sum')), c.b.scalar(0.5)], {}, part);

/** Gelu by the error function, and its approximation by tanh (Hendrycks and Gimpel 2016). Gelu is an operator only since set 20. */
const gelu = gated((c, x, part) =>
  half(c, c.op('Erf', [c.op('Mul', [x, c.b.scalar(Math.SQRT1_2)], {}, within(part, 'scaled'))], {}, within(part, 'erf')), part),
);
const geluByTanh = gated((c, x, part) => {
  const square = c.op('Mul', [x, x], {}, within(part, 'square'));
  const factor = c.op(
    'Add',
    [c.op('Mul', [square, c.b.scalar(0.044715)], {}, within(part, 'cubic')), c.b.scalar(1)],
    {},
    within(part, 'factor'),
  );
  const inner = c.op(
    'Mul',
    [c.op('Mul', [x, factor], {}, within(part, 'inner')), c.b.scalar(Math.sqrt(2 / Math.PI))],
    {},
    within(part, 'scaled'),
  );
  return half(c, c.op('Tanh', [inner], {}, within(part, 'tanh')), part);
});

/** Keras 3 changed the slope from 0.2 to 1/6. */
const hardSigmoid = (dialect: Dialect): Activation =>
  one('HardSigmoid', { alpha: float(dialect === 'keras3' ? 1 / 6 : 0.2), beta: float(0.5) });

const selu: Activation = (c, x, part) =>
  c.op('Mul', [one('Elu', { alpha: float(SELU.alpha) })(c, x, within(part, 'elu')), c.b.scalar(SELU.scale)], {}, part);

const ACTIVATIONS: Readonly<Record<string, Activation>> = {
  relu: one('Relu'),
  relu6: clipped(6),
  leaky_relu: one('LeakyRelu', { alpha: float(0.2) }),
  elu: one('Elu', { alpha: float(1) }),
  selu,
  sigmoid: one('Sigmoid'),
  hard_sigmoid: (c, x, part) => hardSigmoid(c.dialect)(c, x, part),
  tanh: one('Tanh'),
  softplus: one('Softplus'),
  softsign: one('Softsign'),
  softmax: softmax('Softmax'),
  log_softmax: softmax('LogSoftmax'),
  exponential: one('Exp'),
  swish: gated(one('Sigmoid')),
  silu: gated(one('Sigmoid')),
  hard_swish: one('HardSwish'),
  hard_silu: one('HardSwish'),
  mish: gated((c, x, part) => c.op('Tanh', [one('Softplus')(c, x, within(part, 'softplus'))], {}, part)),
  gelu,
  gelu_new: geluByTanh,
};

/** 'hardSigmoid' and 'hard_sigmoid' are the same. */
const snakeCase = (name: string): string => name.replace(/([a-z])([A-Z])/g, '$1_$2').toLowerCase();

/**
 * Applies a layer's `activation` setting, a name or (Keras 3) an object with one.
 * @param whole true for a layer that is nothing but its activation: its node then bears the layer's name alone
 */
export function activate(context: LayerContext, x: Value, setting: Json | undefined, whole = false): Value {
  if (setting === null || setting === undefined) return x;
  if (isObject(setting)) {
    const { class_name: className, config } = setting;
    const layer = typeof className === 'string' && Object.hasOwn(activationLayers, className) ? activationLayers[className] : undefined;
    if (layer && isObject(config)) {
      const part = snakeCase(String(className));
      return layer({ ...context, config, inputs: [{ value: x }], op: (o, i, a, p, s) => context.op(o, i, a, within(part, p ?? ''), s) })
        .value;
    }
    return activate(context, x, typeof config === 'string' ? config : String(className), whole);
  }
  if (typeof setting !== 'string') refuse(context, `has the activation ${JSON.stringify(setting)}`, DAMAGED);
  const name = snakeCase(setting);
  if (name === 'linear') return x;
  const activation = Object.hasOwn(ACTIVATIONS, name) ? ACTIVATIONS[name] : undefined;
  if (!activation)
    refuse(context, `has the activation '${setting}', which is not known`, `Known are ${Object.keys(ACTIVATIONS).join(', ')} and linear.`);
  return activation(context, x, whole ? '' : name);
}

const layer =
  (activation: (context: LayerContext) => Activation): LayerReader =>
  (context) => {
    const { value, order } = only(context);
    return carried(activation(context)(context, value, ''), order);
  };

const leakyRelu = layer((c) => one('LeakyRelu', { alpha: float(numberOf(c, 'alpha', numberOf(c, 'negative_slope', 0.3))) }));

/** max(0, x) up to `max_value`, with a slope below 0. */
const relu = layer((c) => (context, x, part) => {
  const most = c.config['max_value'] === undefined || c.config['max_value'] === null ? undefined : numberOf(c, 'max_value', 0);
  const slope = numberOf(c, 'negative_slope', 0);
  if (numberOf(c, 'threshold', 0) !== 0) refuse(c, `has the threshold ${numberOf(c, 'threshold', 0)}`, 'Only a threshold of 0 is read.');
  if (slope === 0) return most === undefined ? one('Relu')(context, x, part) : clipped(most)(context, x, part);
  const leaky = one('LeakyRelu', { alpha: float(slope) })(context, x, most === undefined ? part : within(part, 'leaky'));
  return most === undefined ? leaky : context.op('Clip', [leaky, undefined, c.b.scalar(most)], {}, part);
});

const softmaxLayer: LayerReader = (context) => {
  const { value, order } = only(context);
  const given = context.config['axis'];
  const axis = isList(given) && given.length === 1 ? given[0] : (given ?? -1);
  if (typeof axis !== 'number') refuse(context, `has the axis ${JSON.stringify(given)}`, 'A softmax over one axis is read.');
  return carried(context.op('Softmax', [value], { axis: graphAxis(context, axis, value.shape.length) }), order);
};

/** One slope for each element; shared axes have length 1. */
const prelu: LayerReader = (context) => {
  const { value, order } = only(context);
  const lengths = value.shape.slice(1);
  const shared = new Set(
    isList(context.config['shared_axes'])
      ? context.config['shared_axes'].map((a) => graphAxis(context, Number(a), value.shape.length))
      : [],
  );
  const graph = lengths.map((d, i) => (shared.has(i + 1) ? 1 : d));
  const turned = context.layout === 'last' && graph.length > 1;
  const alpha = context.weight('alpha', turned ? [...graph.slice(1), graph[0]] : graph);
  const last = graph.length - 1;
  const slopes = turned
    ? permuted(alpha, [last, ...graph.map((_, i) => i).slice(0, -1)])
    : rowsInOrder(alpha, graph[0] === 1 ? undefined : order);
  return carried(context.op('PRelu', [value, context.constant('alpha', slopes)], {}, '', { types: [value] }), order);
};

export const activationLayers: Readonly<Record<string, LayerReader>> = {
  Activation: (context) => {
    const { value, order } = only(context);
    return carried(activate(context, value, context.config['activation'], true), order);
  },
  ReLU: relu,
  LeakyReLU: leakyRelu,
  ELU: layer((c) => one('Elu', { alpha: float(numberOf(c, 'alpha', 1)) })),
  PReLU: prelu,
  Softmax: softmaxLayer,
};
