/** TensorFlow operators that treat each element alike, and the activations that fused operators name. */
import type { AttributeValue } from '../onnx/model';
import { elementCount } from '../onnx/tensor';
import type { Value } from '../ops/builder';
import { type Carried, type Constant, isConstant, type NodeContext, type NodeReader, refuseNode, shapeOf, whole } from './graphdef-context';

type Attributes = Record<string, AttributeValue | undefined>;

/** What some operators do to one number: statistics of a normalisation are computed here, so that scales are known and go into their layers. */
const COMPUTED: Readonly<Record<string, (x: number) => number>> = {
  Sqrt: Math.sqrt,
  Rsqrt: (x) => 1 / Math.sqrt(x),
  Reciprocal: (x) => 1 / x,
  Neg: (x) => -x,
  Square: (x) => x * x,
};

/** The node's result where its input is known and of floats; undefined otherwise. */
function computed({ node, inputs }: NodeContext): Constant | undefined {
  const [x] = inputs;
  const compute = Object.hasOwn(COMPUTED, node.op) ? COMPUTED[node.op] : undefined;
  if (!compute || !x || !isConstant(x) || x.type !== 'float32') return undefined;
  return { name: '', type: 'float32', dims: x.dims, data: Float32Array.from(x.data, compute) };
}

const unary =
  (opType: string, attributes: Attributes = {}): NodeReader =>
  (c) => {
    const known = computed(c);
    if (known) return known;
    const x = c.value(0);
    return c.op(opType, [x], attributes, '', { types: [x] });
  };

const broadcast = (c: NodeContext, a: readonly number[], b: readonly number[]): number[] => {
  const rank = Math.max(a.length, b.length);
  const at = (s: readonly number[], i: number): number => s[i - (rank - s.length)] ?? 1;
  return Array.from({ length: rank }, (_, i) => {
    const [x, y] = [at(a, i), at(b, i)];
    if (x !== y && x !== 1 && y !== 1) refuseNode(c, `combines lengths [${a.join(', ')}] and [${b.join(', ')}]`);
    return x === 1 ? y : x;
  });
};

/** Two known values combined number by number, rounded to floats; undefined where the result would be larger than both. */
function combined(c: NodeContext, a: Constant, b: Constant, compute: (a: number, b: number) => number): Constant | undefined {
  const dims = broadcast(c, a.dims, b.dims);
  if (elementCount(dims) > Math.max(a.data.length, b.data.length)) return undefined;
  const places = (x: Constant): ((i: number) => number) => {
    if (x.data.length === 1) return () => 0;
    const [own, rank] = [x.dims, dims.length];
    return (i) => {
      let [rest, place, step] = [i, 0, 1];
      for (let axis = rank - 1; axis >= 0; axis--) {
        const at = rest % dims[axis];
        rest = (rest - at) / dims[axis];
        const length = own[axis - (rank - own.length)] ?? 1;
        if (length > 1) place += at * step;
        step *= length;
      }
      return place;
    };
  };
  const [ofA, ofB] = [places(a), places(b)];
  return {
    name: '',
    type: 'float32',
    dims,
    data: Float32Array.from({ length: elementCount(dims) }, (_, i) => compute(a.data[ofA(i)], b.data[ofB(i)])),
  };
}

/** Two values; constants are computed here, so that lengths taken from shapes, and scales taken from statistics, stay known. */
const binary =
  (opType: string, compute?: (a: number, b: number) => number, real = compute): NodeReader =>
  (c) => {
    const [a, b] = c.inputs;
    if (a === undefined || b === undefined) refuseNode(c, 'lacks an input');
    if (
      compute &&
      isConstant(a) &&
      isConstant(b) &&
      a.type !== 'float32' &&
      (a.data.length === 1 || b.data.length === 1 || a.data.length === b.data.length)
    ) {
      const length = Math.max(a.data.length, b.data.length);
      const data = Array.from({ length }, (_, i) => compute(a.data[a.data.length === 1 ? 0 : i], b.data[b.data.length === 1 ? 0 : i]));
      return { ...whole('', a.data.length >= b.data.length ? a.dims : b.dims, data), type: a.type };
    }
    const both = real && isConstant(a) && isConstant(b) && a.type === 'float32' && b.type === 'float32';
    const known = both ? combined(c, a, b, real) : undefined;
    if (known) return known;
    const [x, y] = [c.value(0), c.value(1)];
    return c.op(opType, [x, y], {}, '', { types: [{ type: x.type, shape: broadcast(c, x.shape, y.shape) }] });
  };

const clipped = (c: NodeContext, x: Value, least: number, most: number, part = ''): Value =>
  c.op('Clip', [x, c.b.scalar(least), c.b.scalar(most)], {}, part, { types: [x] });

const float = (value: number): { float: number } => ({ float: value });

const cast: NodeReader = (c) => {
  const [x] = c.inputs;
  const to = { DT_FLOAT: 'float32', DT_INT32: 'int32', DT_INT64: 'int64', DT_BOOL: 'bool' }[
    c.node.attributes.get('DstT')?.type ?? 'DT_FLOAT'
  ];
  if (!to) refuseNode(c, `turns values into ${c.node.attributes.get('DstT')?.type}`);
  const type = to as 'float32' | 'int32' | 'int64' | 'bool';
  if (isConstant(x)) return { ...x, name: '', type, data: type === 'float32' || type === 'bool' ? x.data : Array.from(x.data, Math.trunc) };
  const code = { float32: 1, int32: 6, int64: 7, bool: 9 }[type];
  return c.op('Cast', [x], { to: code }, '', { types: [{ type, shape: x.shape }] });
};

const addAll: NodeReader = (c) =>
  c.inputs.slice(1).reduce<Value>((sum, _, i) => {
    const y = c.value(i + 1);
    const shape = broadcast(c, sum.shape, y.shape);
    return c.op('Add', [sum, y], {}, i === c.inputs.length - 2 ? '' : `part${i + 1}`, { types: [{ type: sum.type, shape }] });
  }, c.value(0));

const prelu = (c: NodeContext, x: Value, alpha: Value, part = ''): Value => c.op('PRelu', [x, alpha], {}, part, { types: [x] });

/** What fused operators do last, by their name for it. */
export function fusedActivation(c: NodeContext, x: Value, name: string, extra: Carried | undefined): Value {
  const one = (opType: string, attributes: Attributes = {}): Value => c.op(opType, [x], attributes, name.toLowerCase(), { types: [x] });
  switch (name) {
    case 'Relu':
    case 'Elu':
    case 'Sigmoid':
    case 'Tanh':
    case 'Selu':
      return one(name);
    case 'Relu6':
      return clipped(c, x, 0, 6, 'relu6');
    case 'LeakyRelu':
      return one('LeakyRelu', { alpha: float(c.node.attributes.get('leakyrelu_alpha')?.f ?? 0.2) });
    case 'Prelu':
      if (extra) return prelu(c, x, isConstant(extra) ? c.store(extra, 'alpha') : extra, 'prelu');
  }
  return refuseNode(c, `ends with '${name}', which is not read`);
}

export const elementwiseNodes: Readonly<Record<string, NodeReader>> = {
  ...Object.fromEntries(
    [
      'Relu',
      'Elu',
      'Sigmoid',
      'Tanh',
      'Softplus',
      'Softsign',
      'Selu',
      'Exp',
      'Log',
      'Sqrt',
      'Neg',
      'Abs',
      'Reciprocal',
      'Erf',
      'Floor',
      'Ceil',
      'Round',
      'Sign',
      'Sin',
      'Cos',
    ].map((op) => [op, unary(op)]),
  ),
  LeakyRelu: (c) => unary('LeakyRelu', { alpha: float(c.node.attributes.get('alpha')?.f ?? 0.2) })(c),
  Relu6: (c) => clipped(c, c.value(0), 0, 6),
  Prelu: (c) => prelu(c, c.value(0), c.value(1)),
  ClipByValue: (c) => clipped(c, c.value(0), Number(c.constant(1).data[0]), Number(c.constant(2).data[0])),
  Square: (c) => computed(c) ?? c.op('Mul', [c.value(0), c.value(0)]),
  Rsqrt: (c) => {
    const known = computed(c);
    if (known) return known;
    const x = c.value(0);
    return c.op('Reciprocal', [c.op('Sqrt', [x], {}, 'sqrt', { types: [x] })], {}, '', { types: [x] });
  },
  SquaredDifference: (c) => {
    const [x, y] = [c.value(0), c.value(1)];
    const d = c.op('Sub', [x, y], {}, 'difference', { types: [{ type: x.type, shape: broadcast(c, x.shape, y.shape) }] });
    return c.op('Mul', [d, d]);
  },
  Add: binary('Add', (a, b) => a + b),
  AddV2: binary('Add', (a, b) => a + b),
  BiasAdd: (c) => {
    if (c.node.attributes.get('data_format')?.s !== 'NCHW') return binary('Add')(c);
    const [x, bias] = [c.value(0), c.constant(1)];
    const dims = [bias.dims[0], ...x.shape.slice(2).map(() => 1)];
    return c.op('Add', [x, c.store({ ...bias, name: '', dims }, 'bias')]);
  },
  AddN: addAll,
  Sub: binary('Sub', (a, b) => a - b),
  Mul: binary('Mul', (a, b) => a * b),
  RealDiv: binary('Div', undefined, (a, b) => a / b),
  Div: binary('Div', undefined, (a, b) => a / b),
  FloorDiv: binary('Div', (a, b) => Math.floor(a / b)),
  DivNoNan: binary('Div'),
  Maximum: binary('Max', Math.max),
  Minimum: binary('Min', Math.min),
  Pow: binary('Pow'),
  Cast: cast,
  ...Object.fromEntries(
    ['Identity', 'StopGradient', 'Snapshot', 'EnsureShape', 'PreventGradient', 'CheckNumerics', 'ReadVariableOp'].map(
      (op): [string, NodeReader] => [op, (c) => c.inputs[0] ?? refuseNode(c, 'lacks its input')],
    ),
  ),
  IdentityN: (c) => c.inputs,
  Softmax: (c) => unary('Softmax', { axis: shapeOf(c.inputs[0]).length - 1 })(c),
  LogSoftmax: (c) => unary('LogSoftmax', { axis: shapeOf(c.inputs[0]).length - 1 })(c),
};
