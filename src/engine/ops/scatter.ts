/** Values read from, or written to, places that another value names: GatherElements, GatherND, ScatterElements, ScatterND, TopK. */
import { UserError } from '../errors';
import { attr, type Dim, type Shape } from '../onnx/model';
import { dataTypeOf } from '../onnx/tensor';
import { givenInts, normalizeAxis, productOf } from './axes';
import type { GraphBuilder, Value } from './builder';
import { freezeAxes, keepsChannels, nodeLabel, passAxes } from './channel-axes';
import { zeros } from './concat';
import type { GradientContext, InferContext, Operator, ValueType } from './operator';

const NO_TRAINING = 'Freeze the layers before it, or run without fine-tuning.';

const axisOf = ({ node }: Pick<InferContext, 'node'>, rank: number): number => normalizeAxis(attr.int(node, 'axis', 0), rank);

const whole = keepsChannels('takes or writes single places by number');

/** dy added up at the places, in a value of the shape. */
const addElements = (b: GraphBuilder, shape: readonly number[], places: Value, dy: Value, axis: number): Value =>
  b.op('ScatterElements', [zeros(b, shape), places, dy], { axis, reduction: 'add' }, { types: [{ type: dy.type, shape }] });
const addSlices = (b: GraphBuilder, shape: readonly number[], places: Value, dy: Value): Value =>
  b.op('ScatterND', [zeros(b, shape), places, dy], { reduction: 'add' }, { types: [{ type: dy.type, shape }] });

const gatherElements: Operator = {
  opTypes: ['GatherElements'],
  infer({ inputs }) {
    return [{ type: inputs[0]?.type ?? 'float32', shape: inputs[1]?.shape }];
  },
  gradient({ b, node, inputs }, [dy]) {
    const [x, places] = inputs;
    if (!dy || !x || !places) return [];
    return [addElements(b, x.shape, places, dy, axisOf({ node }, x.shape.length))];
  },
  ...whole,
};

/** Shape of what GatherND reads: the places' own axes, then what of the data one place is. */
function gatheredShape(data: Shape | undefined, places: Shape | undefined, batch: number): Shape | undefined {
  const depth = places?.at(-1);
  if (!data || !places || typeof depth !== 'number') return undefined;
  if (batch + depth > data.length) throw new UserError(`names places by ${depth} numbers in a value of ${data.length - batch} axes`);
  return [...places.slice(0, -1), ...data.slice(batch + depth)];
}

const gatherND: Operator = {
  opTypes: ['GatherND'],
  infer({ node, inputs }) {
    const shape = gatheredShape(inputs[0]?.shape, inputs[1]?.shape, attr.int(node, 'batch_dims', 0));
    return [{ type: inputs[0]?.type ?? 'float32', shape }];
  },
  gradient({ b, node, inputs }, [dy]) {
    const [x, places] = inputs;
    if (!dy || !x || !places) return [];
    if (attr.int(node, 'batch_dims', 0) !== 0)
      throw new UserError(
        `${nodeLabel({ node })} reads places of its own for each sample, through which no gradient is known`,
        NO_TRAINING,
      );
    return [addSlices(b, x.shape, places, dy)];
  },
  ...whole,
};

/** What a scatter does where a value is already: '' replaces it. */
function reductionOf({ node }: Pick<GradientContext, 'node'>): 'none' | 'add' {
  const reduction = attr.string(node, 'reduction', 'none');
  if (reduction !== 'none' && reduction !== 'add')
    throw new UserError(`${nodeLabel({ node })} joins values by '${reduction}', through which no gradient is known`, NO_TRAINING);
  return reduction;
}

const scatterElements: Operator = {
  opTypes: ['ScatterElements', 'Scatter'],
  infer: ({ inputs }): ValueType[] => [{ type: inputs[0]?.type ?? 'float32', shape: inputs[0]?.shape }],
  gradient({ b, node, inputs, wants }, [dy]) {
    const [x, places, updates] = inputs;
    if (!dy || !x || !places || !updates) return [];
    const axis = axisOf({ node }, x.shape.length);
    const added = reductionOf({ node }) === 'add';
    const cleared = (): Value => b.op('ScatterElements', [dy, places, zeros(b, updates.shape)], { axis }, { types: [dy] });
    return [
      wants(0) ? (added ? dy : cleared()) : undefined,
      undefined,
      wants(2) ? b.op('GatherElements', [dy, places], { axis }) : undefined,
    ];
  },
  ...whole,
};

const scatterND: Operator = {
  opTypes: ['ScatterND'],
  infer: ({ inputs }): ValueType[] => [{ type: inputs[0]?.type ?? 'float32', shape: inputs[0]?.shape }],
  gradient({ b, node, inputs, wants }, [dy]) {
    const [x, places, updates] = inputs;
    if (!dy || !x || !places || !updates) return [];
    const added = reductionOf({ node }) === 'add';
    const cleared = (): Value => b.op('ScatterND', [dy, places, zeros(b, updates.shape)], {}, { types: [dy] });
    return [wants(0) ? (added ? dy : cleared()) : undefined, undefined, wants(2) ? b.op('GatherND', [dy, places]) : undefined];
  },
  ...whole,
};

/** How many elements a TopK takes: an attribute before operator set 10, an input from then on. */
function topCount(context: Pick<InferContext, 'node' | 'opset' | 'inputs'>): number | undefined {
  if (context.opset < 10) return attr.int(context.node, 'k', 0);
  const given = givenInts(context, 'k', 1, 10);
  return typeof given === 'string' ? undefined : given[0];
}

const topAxis = ({ node }: Pick<InferContext, 'node'>, rank: number): number => normalizeAxis(attr.int(node, 'axis', -1), rank);

const topK: Operator = {
  opTypes: ['TopK'],
  infer(context) {
    const x = context.inputs[0];
    const type = x?.type ?? 'float32';
    const axis = x?.shape && topAxis(context, x.shape.length);
    const shape = x?.shape?.map((d, at): Dim => (at === axis ? (topCount(context) ?? '') : d));
    return [
      { type, shape },
      { type: 'int64', shape },
    ];
  },
  gradient({ b, node, inputs, outputs }, [dy]) {
    const x = inputs[0]!;
    if (!dy) return [undefined];
    return [addElements(b, x.shape, outputs[1], dy, topAxis({ node }, x.shape.length))];
  },
  channels(context) {
    const rank = context.inputs[0]?.shape?.length ?? 0;
    if (rank === 0) return;
    const axis = topAxis(context, rank);
    freezeAxes(context, 'compares them with each other', [axis]);
    for (let at = 0; at < rank; at++) {
      if (at === axis) continue;
      for (let output = 0; output < context.outputs.length; output++) context.setOutput(output, at, context.atoms(0, at));
    }
  },
};

const compress: Operator = {
  opTypes: ['Compress'],
  infer({ node, inputs }) {
    const type = inputs[0]?.type ?? 'float32';
    const shape = inputs[0]?.shape;
    const chosen = inputs[1]?.value?.numbers();
    // Positions past the end of the list of conditions are left out.
    const count: Dim = chosen ? chosen.filter((v) => v !== 0).length : '';
    // Without an axis the elements are counted through.
    if (!node.attributes.has('axis')) return [{ type, shape: [count] }];
    const axis = shape && normalizeAxis(attr.int(node, 'axis', 0), shape.length);
    return [{ type, shape: shape?.map((d, at) => (at === axis ? count : d)) }];
  },
  noGradient: 'takes positions by a condition that is computed',
  ...whole,
};

const nonZero: Operator = {
  opTypes: ['NonZero'],
  infer: ({ inputs }): ValueType[] => [{ type: 'int64', shape: [inputs[0]?.shape?.length ?? '', ''] }],
  noGradient: 'gives positions, not values',
  ...keepsChannels('gives their positions'),
};

const oneHot: Operator = {
  opTypes: ['OneHot'],
  infer({ node, inputs }) {
    const type = inputs[2]?.type ?? 'float32';
    const shape = inputs[0]?.shape;
    if (!shape) return [{ type }];
    const depth = inputs[1]?.value?.numbers()[0];
    const axis = normalizeAxis(attr.int(node, 'axis', -1), shape.length + 1);
    return [{ type, shape: [...shape.slice(0, axis), depth === undefined ? '' : Math.trunc(depth), ...shape.slice(axis)] }];
  },
  noGradient: 'turns numbers of classes into vectors, which change in steps',
  ...keepsChannels('reads them as numbers of classes'),
};

const eyeLike: Operator = {
  opTypes: ['EyeLike'],
  infer: ({ node, inputs }): ValueType[] => [
    { type: typeAttribute(node, 'dtype') ?? inputs[0]?.type ?? 'float32', shape: inputs[0]?.shape },
  ],
  noGradient: 'looks only at the shape of its input',
  ...keepsChannels('makes a matrix of as many rows and columns'),
};

const unique: Operator = {
  opTypes: ['Unique'],
  infer({ node, inputs }) {
    const shape = inputs[0]?.shape;
    const given = node.attributes.has('axis');
    const axis = shape && given ? normalizeAxis(attr.int(node, 'axis', 0), shape.length) : undefined;
    const values = given ? shape?.map((d, at): Dim => (at === axis ? '' : d)) : [''];
    const length: Dim = shape ? (axis === undefined ? productOf(shape) : shape[axis]) : '';
    const vector = (d: Dim): ValueType => ({ type: 'int64', shape: [d] });
    return [{ type: inputs[0]?.type ?? 'float32', shape: values }, vector(''), vector(given && !shape ? '' : length), vector('')];
  },
  noGradient: 'drops values that equal others, which changes in steps',
  ...keepsChannels('compares them with each other'),
};

const reverseSequence: Operator = {
  opTypes: ['ReverseSequence'],
  infer: ({ inputs }): ValueType[] => [{ type: inputs[0]?.type ?? 'float32', shape: inputs[0]?.shape }],
  gradient({ b, node, inputs }, [dy]) {
    const attributes = { batch_axis: attr.int(node, 'batch_axis', 1), time_axis: attr.int(node, 'time_axis', 0) };
    // Turning round twice is as before.
    return [dy && b.op('ReverseSequence', [dy, inputs[1]], attributes, { types: [dy] })];
  },
  channels(context) {
    const rank = context.inputs[0]?.shape?.length ?? 0;
    const turned = normalizeAxis(attr.int(context.node, 'time_axis', 0), Math.max(2, rank));
    freezeAxes(context, 'turns their order round', [turned]);
    passAxes(
      context,
      Array.from({ length: rank }, (_, axis) => axis)
        .filter((axis) => axis !== turned)
        .map((axis) => [axis, axis]),
    );
  },
};

function typeAttribute(node: InferContext['node'], name: string): ValueType['type'] | undefined {
  return node.attributes.has(name) ? dataTypeOf(attr.int(node, name, 0)) : undefined;
}

export const placements: readonly Operator[] = [
  gatherElements,
  gatherND,
  scatterElements,
  scatterND,
  topK,
  compress,
  nonZero,
  oneHot,
  eyeLike,
  unique,
  reverseSequence,
];
