/**
 * Normalisations whose statistics come from the image at hand: InstanceNormalization (Ulyanov et al. 2016), GroupNormalization (Wu, He
 * 2018), MeanVarianceNormalization. Channels lie along axis 1.
 */
import { UserError } from '../errors';
import { attr, type Shape } from '../onnx/model';
import { normalizeAxes } from './axes';
import { reduceTo } from './broadcast';
import type { GraphBuilder, Value } from './builder';
import { freezeAxes, nodeLabel } from './channel-axes';
import { passChannels, sameAsFirst } from './elementwise-support';
import { binary, range, reshape } from './emit';
import { normalized, normalizedBackward } from './normalization-support';
import type { AxisAtoms, ChannelContext, GradientContext, InferContext, Operator, ValueType } from './operator';

const EPSILON = 1e-5;

/** @throws UserError where scale or bias are not vectors of the length that belongs */
function requireVectors({ node, inputs }: InferContext, length: number | undefined, what: string): void {
  for (const i of [1, 2]) {
    const shape = inputs[i]?.shape;
    if (!shape || length === undefined) continue;
    if (shape.length !== 1 || (typeof shape[0] === 'number' && shape[0] !== length))
      throw new UserError(`its input has ${length} ${what}, but '${node.inputs[i]}' has the shape [${shape.join(', ')}]`);
  }
}

/** Axis 1 of a shape that has one. @throws UserError where it has none */
function channelCount(shape: Shape | undefined): number | undefined {
  if (shape && shape.length < 3)
    throw new UserError(`its input has the shape [${shape.join(', ')}], which has no channel and spatial axes`);
  return typeof shape?.[1] === 'number' ? shape[1] : undefined;
}

/** A vector of channels shaped so that it stretches over [N, C, …]. */
const perChannel = (b: GraphBuilder, v: Value, rank: number): Value => reshape(b, v, [v.shape[0], ...range(2, rank).map(() => 1)]);

/** Couples the channels of the input with those of a parameter; freezes both where either is missing. */
function coupleParameter(context: ChannelContext, channels: AxisAtoms, input: number): void {
  const own = context.atoms(input, 0);
  if (!own) {
    context.freeze(channels, `${nodeLabel(context)} scales them by a value that is no weight`);
    return;
  }
  context.role(input, 0, 'parameter');
  if (channels) context.couple(channels, own);
  else context.freeze(own, `the input of ${nodeLabel(context)} has no channels that can be removed`);
}

const instanceNormalization: Operator = {
  opTypes: ['InstanceNormalization'],
  infer(context) {
    requireVectors(context, channelCount(context.inputs[0]?.shape), 'channels');
    return sameAsFirst(context);
  },
  gradient({ node, b, inputs, wants }, [dy]) {
    const [x, weight] = inputs;
    if (!x || !weight || !dy) return [];
    const rank = x.shape.length;
    const n = normalized(b, x, range(2, rank), attr.float(node, 'epsilon', EPSILON));
    return [
      wants(0) ? normalizedBackward(b, n, binary(b, 'Mul', dy, perChannel(b, weight, rank))) : undefined,
      wants(1) ? reshape(b, reduceTo(b, binary(b, 'Mul', dy, n.value), perChannel(b, weight, rank).shape), weight.shape) : undefined,
      wants(2) ? reshape(b, reduceTo(b, dy, perChannel(b, weight, rank).shape), weight.shape) : undefined,
    ];
  },
  // Each channel has statistics of its own, so it leaves alone.
  channels(context) {
    const rank = context.inputs[0]?.shape?.length ?? 0;
    freezeAxes(context, 'normalises over them: removing one would change all others', range(2, rank));
    for (const axis of [0, 1]) context.setOutput(0, axis, context.atoms(0, axis));
    for (const i of [1, 2]) coupleParameter(context, context.atoms(0, 1), i);
  },
};

function groupCount({ node }: Pick<InferContext, 'node'>, channels: number | undefined): number {
  const groups = attr.int(node, 'num_groups', 0);
  if (groups < 1 || (channels !== undefined && channels % groups !== 0))
    throw new UserError(
      `normalises ${channels ?? 'its'} channels in ${groups} groups`,
      'The number of groups must divide that of channels.',
    );
  return groups;
}

/** Scale and bias belong to groups in operator sets 18 to 20, and to channels from 21 on. */
const perGroup = ({ opset }: Pick<InferContext, 'opset'>): boolean => opset < 21;

const groupNormalization: Operator = {
  opTypes: ['GroupNormalization'],
  infer(context) {
    const channels = channelCount(context.inputs[0]?.shape);
    const groups = groupCount(context, channels);
    if (perGroup(context)) requireVectors(context, groups, 'groups');
    else requireVectors(context, channels, 'channels');
    return sameAsFirst(context);
  },
  gradient(context: GradientContext, [dy]) {
    const { node, b, inputs, wants } = context;
    const [x, weight] = inputs;
    if (!x || !weight || !dy) return [];
    const groups = groupCount({ node }, x.shape[1]);
    const split = [x.shape[0], groups, x.shape[1] / groups, ...x.shape.slice(2)];
    const n = normalized(b, reshape(b, x, split), range(2, split.length), attr.float(node, 'epsilon', EPSILON));
    const factorShape = perGroup(context) ? [groups, 1] : [groups, split[2]];
    const factor = reshape(b, weight, [...factorShape, ...range(3, split.length).map(() => 1)]);
    const d = reshape(b, dy, split);
    const dx = wants(0) ? normalizedBackward(b, n, binary(b, 'Mul', d, factor)) : undefined;
    return [
      dx && reshape(b, dx, x.shape),
      wants(1) ? reshape(b, reduceTo(b, binary(b, 'Mul', d, n.value), factor.shape), weight.shape) : undefined,
      wants(2) ? reshape(b, reduceTo(b, d, factor.shape), weight.shape) : undefined,
    ];
  },
  // The channels of a group share their statistics, so they leave together: what goes is a whole group.
  channels(context) {
    const rank = context.inputs[0]?.shape?.length ?? 0;
    freezeAxes(context, 'normalises over them: removing one would change all others', range(2, rank));
    context.setOutput(0, 0, context.atoms(0, 0));
    const channels = context.atoms(0, 1);
    context.setOutput(0, 1, channels);
    const groups = groupCount(context, channels?.length);
    const width = (channels?.length ?? 0) / groups;
    const leaders = channels && Int32Array.from({ length: groups }, (_, g) => channels[g * width]);
    if (channels && leaders)
      context.couple(
        channels,
        Int32Array.from(channels, (_, i) => leaders[Math.floor(i / width)]),
      );
    for (const i of [1, 2]) coupleParameter(context, perGroup(context) ? leaders : channels, i);
  },
  shrink(context) {
    const kept = context.keptInput(0, 1);
    const channels = context.inputs[0]?.shape?.[1];
    if (!kept || typeof channels !== 'number') return;
    context.setAttribute('num_groups', (kept.length * groupCount(context, channels)) / channels);
  },
};

const meanVarianceAxes = ({ node }: Pick<InferContext, 'node'>, rank: number): number[] =>
  normalizeAxes(attr.ints(node, 'axes') ?? [0, 2, 3], rank);

/** (x − mean) / (standard deviation + 1e-9) over the axes given; 0, 2 and 3 where none are. */
const meanVarianceNormalization: Operator = {
  opTypes: ['MeanVarianceNormalization'],
  infer: (context: InferContext): ValueType[] => {
    const rank = context.inputs[0]?.shape?.length;
    if (rank !== undefined) meanVarianceAxes(context, rank);
    return sameAsFirst(context);
  },
  gradient({ node, b, inputs }, [dy]) {
    const x = inputs[0]!;
    // The 1e-9 beside the deviation is below what single precision tells apart.
    return [dy && normalizedBackward(b, normalized(b, x, meanVarianceAxes({ node }, x.shape.length), 1e-18), dy)];
  },
  channels(context) {
    const rank = context.inputs[0]?.shape?.length ?? 0;
    freezeAxes(context, 'normalises over them: removing one would change all others', meanVarianceAxes(context, rank));
    passChannels(context);
  },
};

export const instanceNormalizations: readonly Operator[] = [instanceNormalization, groupNormalization, meanVarianceNormalization];
