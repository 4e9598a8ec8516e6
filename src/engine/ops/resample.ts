/** Images at another resolution: Resize, Upsample, DepthToSpace, SpaceToDepth. */
import { UserError } from '../errors';
import { attr, type Dim, type Shape } from '../onnx/model';
import { inputNumbers, normalizeAxes, withConstants } from './axes';
import { type AxisMap, transposedAlong } from './axis-maps';
import { reshapeTo } from './broadcast';
import type { Value } from './builder';
import { carried, freezeAxes, isInitializer } from './channel-axes';
import { interpolationMap } from './interpolation';
import type { GradientContext, InferContext, Operator } from './operator';

type Context = Pick<InferContext, 'node' | 'opset' | 'inputs'>;

/** Position of the scales input: Upsample and Resize 10 have it second, Resize 11 third. */
const scalesInput = ({ node, opset }: Context): number => (node.opType === 'Resize' && opset >= 11 ? 2 : 1);
const SIZES_INPUT = 3;

/** Axes that scales and sizes speak of (Resize 18 may name them). */
const resizedAxes = ({ node }: Pick<Context, 'node'>, rank: number): number[] =>
  normalizeAxes(attr.ints(node, 'axes') ?? Array.from({ length: rank }, (_, axis) => axis), rank);

/** Scales by axis; undefined where sizes are given instead or nothing is constant. */
function scalesOf(context: Context, rank: number): number[] | undefined {
  const { node, opset } = context;
  // Upsample gives its scales as an attribute up to set 8.
  const attribute = node.opType === 'Upsample' && opset < 9 ? attr.floats(node, 'scales') : undefined;
  const given = attribute ?? inputNumbers(context, scalesInput(context));
  if (typeof given === 'string' || given.length === 0) return undefined;
  const axes = resizedAxes(context, rank);
  if (given.length !== axes.length) throw new UserError(`has ${given.length} scales for ${axes.length} axes`);
  const scales = new Array<number>(rank).fill(1);
  for (const [i, axis] of axes.entries()) scales[axis] = given[i];
  return scales;
}

/** Floor of length × scale, safe from the rounding of scales such as 1/3 in single precision. */
function scaledLength(d: Dim, scale: number): Dim {
  if (scale === 1) return d;
  return typeof d === 'number' ? Math.floor(Math.fround(Math.fround(d) * Math.fround(scale))) : '';
}

function resizedShape(context: Context, shape: Shape): Shape {
  const scales = scalesOf(context, shape.length);
  if (scales) return shape.map((d, axis) => scaledLength(d, scales[axis]));
  const sizes = context.node.opType === 'Resize' && context.opset >= 11 ? inputNumbers(context, SIZES_INPUT) : 'unknown';
  if (typeof sizes === 'string') return shape.map(() => '');
  const axes = resizedAxes(context, shape.length);
  if (sizes.length !== axes.length) throw new UserError(`has ${sizes.length} sizes for ${axes.length} axes`);
  const policy = attr.string(context.node, 'keep_aspect_ratio_policy', 'stretch');
  const result: Dim[] = [...shape];
  if (policy === 'stretch') {
    for (const [i, axis] of axes.entries()) result[axis] = sizes[i];
    return result;
  }
  const ratios = axes.map((axis, i) => (typeof shape[axis] === 'number' ? sizes[i] / (shape[axis] as number) : Number.NaN));
  const ratio = policy === 'not_larger' ? Math.min(...ratios) : Math.max(...ratios);
  for (const axis of axes) {
    const d = shape[axis];
    result[axis] = typeof d === 'number' && !Number.isNaN(ratio) ? Math.floor(ratio * d + 0.5) : '';
  }
  return result;
}

const resize: Operator = {
  opTypes: ['Resize', 'Upsample'],
  infer(context) {
    const input = context.inputs[0];
    const type = input?.type ?? 'float32';
    return [{ type, shape: input?.shape && resizedShape(context, input.shape) }];
  },
  gradient(context, [dy]) {
    const { b, node } = context;
    const x = context.inputs[0]!;
    if (!dy) return [undefined];
    const factors = nearestFactors(context, x.shape, dy.shape);
    if (!factors) {
      const maps = axisMaps(context, x.shape, dy.shape);
      if (!maps)
        throw new UserError(
          `${node.opType} '${node.name || node.outputs[0]}' takes positions that are not fixed before the model runs, or smooths them (antialias)`,
          'Freeze the layers before it, or run without fine-tuning.',
        );
      // Interpolation works along each axis alone.
      return [maps.reduce((gradient, map, axis) => (map ? transposedAlong(b, gradient, axis, map) : gradient), dy)];
    }
    const apart = x.shape.flatMap((d, axis) => [d, factors[axis]]);
    const axes = factors.map((_, axis) => 2 * axis + 1);
    return [b.op('ReduceSum', [reshapeTo(b, dy, apart), b.ints(axes)], { keepdims: 0 })];
  },
  channels(context) {
    const before = context.inputs[0]?.shape;
    const after = context.outputs[0].shape;
    if (!before || isInitializer(context, 0)) return;
    for (let axis = 0; axis < before.length; axis++) {
      if (after && before[axis] === after[axis] && before[axis] !== '') context.setOutput(0, axis, carried(context, 0, axis));
      else freezeAxes(context, 'interpolates along them', [axis]);
    }
  },
  shrink(context) {
    const shape = context.inputs[0]?.shape;
    if (!shape || scalesOf(context, shape.length)) return;
    const sizes = inputNumbers(context, SIZES_INPUT);
    if (typeof sizes === 'string') return;
    const axes = resizedAxes(context, shape.length);
    const kept = axes.map((axis) => context.keptOutput(0, axis));
    if (kept.some((k) => k !== undefined))
      context.setInts(
        SIZES_INPUT,
        sizes.map((d, i) => kept[i]?.length ?? d),
      );
  },
};

/** What each axis takes from where, for a Resize of any mode; undefined where that is not fixed. */
function axisMaps(context: GradientContext, before: readonly number[], after: readonly number[]): Array<AxisMap | undefined> | undefined {
  const { node, opset } = context;
  if (attr.int(node, 'antialias', 0) === 1) return undefined;
  // Upsample and the first Resize know neither coordinates nor roundings.
  const plain = node.opType === 'Upsample' || opset < 11;
  const mode = attr.string(node, 'mode', 'nearest');
  const options = {
    mode: mode === 'bilinear' ? 'linear' : mode,
    coordinates: plain ? 'asymmetric' : attr.string(node, 'coordinate_transformation_mode', 'half_pixel'),
    nearestMode: attr.string(node, 'nearest_mode', 'round_prefer_floor'),
    cubicCoefficient: attr.float(node, 'cubic_coeff_a', -0.75),
    excludeOutside: attr.int(node, 'exclude_outside', 0) === 1,
  };
  const scales = scalesOf(withConstants(context), before.length);
  const maps: Array<AxisMap | undefined> = [];
  for (const [axis, length] of before.entries()) {
    const scale = scales?.[axis] ?? after[axis] / length;
    const nearestMode = plain ? (scale < 1 ? 'ceil' : 'floor') : options.nearestMode;
    if (length === after[axis] && scale === 1) maps.push(undefined);
    else {
      const map = interpolationMap(length, after[axis], scale, { ...options, nearestMode });
      if (!map) return undefined;
      maps.push(map);
    }
  }
  return maps;
}

/** How often each value is repeated along each axis, where the node does just that; else undefined. */
function nearestFactors(context: GradientContext, before: readonly number[], after: readonly number[]): number[] | undefined {
  const { node } = context;
  if (attr.string(node, 'mode', 'nearest') !== 'nearest') return undefined;
  const factors = before.map((d, axis) => after[axis] / d);
  if (factors.some((f) => !Number.isInteger(f))) return undefined;
  const scales = scalesOf(withConstants(context), before.length);
  if (scales?.some((s, axis) => s !== factors[axis])) return undefined;
  if (node.opType === 'Upsample' || context.opset < 11) return factors;
  // Which source position is nearest depends on where positions are thought to lie, and on how halves round.
  const rounding = attr.string(node, 'nearest_mode', 'round_prefer_floor');
  const position = attr.string(node, 'coordinate_transformation_mode', 'half_pixel');
  const centred = position === 'half_pixel' && rounding.startsWith('round');
  const cornered = position === 'asymmetric' && (rounding === 'floor' || (rounding === 'round_prefer_floor' && Math.max(...factors) <= 2));
  return centred || cornered ? factors : undefined;
}

const blocksize = ({ node }: Pick<Context, 'node'>): number => {
  const size = attr.int(node, 'blocksize', 0);
  if (size < 1) throw new UserError(`has the block size ${size}`);
  return size;
};

/** The length divided by `by`. @throws UserError where that leaves a rest */
function divided(d: Dim, by: number): Dim {
  if (typeof d === 'string') return by === 1 ? d : '';
  if (d % by !== 0) throw new UserError(`divides an axis of length ${d} into blocks of ${by}`);
  return d / by;
}
const multiplied = (d: Dim, by: number): Dim => (typeof d === 'number' ? d * by : '');

function fourAxes(shape: Shape | undefined): Shape | undefined {
  if (shape && shape.length !== 4) throw new UserError(`needs a value of 4 axes and gets one of ${shape.length}`);
  return shape;
}

const depthToSpace: Operator = {
  opTypes: ['DepthToSpace'],
  infer(context) {
    const size = blocksize(context);
    const input = context.inputs[0];
    const shape = fourAxes(input?.shape);
    const result = shape && [shape[0], divided(shape[1], size ** 2), multiplied(shape[2], size), multiplied(shape[3], size)];
    return [{ type: input?.type ?? 'float32', shape: result }];
  },
  gradient({ b, node, inputs }, [dy]) {
    if (!dy) return [undefined];
    const s = blocksize({ node });
    const [n, c, h, w] = inputs[0]!.shape;
    const parts: Value = b.op('Reshape', [dy, b.ints([n, c / s ** 2, h, s, w, s])]);
    // DCR: the block position is the outer part of the channel number; CRD: the inner part.
    const perm = attr.string(node, 'mode', 'DCR') === 'DCR' ? [0, 3, 5, 1, 2, 4] : [0, 1, 3, 5, 2, 4];
    return [reshapeTo(b, b.op('Transpose', [parts], { perm }), [n, c, h, w])];
  },
  channels: (context) => blockChannels(context),
};

const spaceToDepth: Operator = {
  opTypes: ['SpaceToDepth'],
  infer(context) {
    const size = blocksize(context);
    const input = context.inputs[0];
    const shape = fourAxes(input?.shape);
    const result = shape && [shape[0], multiplied(shape[1], size ** 2), divided(shape[2], size), divided(shape[3], size)];
    return [{ type: input?.type ?? 'float32', shape: result }];
  },
  gradient({ b, node }, [dy]) {
    return [dy && b.op('DepthToSpace', [dy], { blocksize: blocksize({ node }), mode: 'DCR' })];
  },
  channels: (context) => blockChannels(context),
};

function blockChannels(context: Parameters<NonNullable<Operator['channels']>>[0]): void {
  freezeAxes(context, 'moves channels into places of the image, or back', [1, 2, 3]);
  context.setOutput(0, 0, context.atoms(0, 0));
}

export const resamplers: readonly Operator[] = [resize, depthToSpace, spaceToDepth];
