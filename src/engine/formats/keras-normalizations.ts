/** Layers that bring values to a common scale, beside batch and layer normalisation. */
import type { Value } from '../ops/builder';
import {
  carried,
  DAMAGED,
  flagOf,
  graphAxis,
  inSourceOrder,
  type LayerContext,
  type LayerReader,
  numberOf,
  only,
  refuse,
} from './keras-context';
import { isList } from './keras-topology';

/** True where the layer works along the axis of the channels alone. */
function alongChannels(c: LayerContext, rank: number): boolean {
  const given = c.config['axis'] ?? -1;
  const axis = isList(given) && given.length === 1 ? given[0] : given;
  return typeof axis === 'number' && graphAxis(c, axis, rank) === 1;
}

const perChannel = (c: LayerContext, name: string, data: ArrayLike<number>, rank: number): Value =>
  c.constant(name, { dims: [data.length, ...Array.from({ length: rank - 2 }, () => 1)], data: Float32Array.from(data) });

/** Groups of channels brought to mean 0 and variance 1 (Wu, He 2018), as exporters write it: each group is one channel of an instance normalisation. */
const groupNormalization: LayerReader = (c) => {
  const { value: x, order } = only(c);
  const [, channels, ...spatial] = x.shape;
  if (order || !alongChannels(c, x.shape.length))
    refuse(c, `normalises along axis ${JSON.stringify(c.config['axis'])}, which does not hold the channels`);
  const wanted = numberOf(c, 'groups', 32);
  const groups = wanted === -1 ? channels : wanted;
  if (!Number.isInteger(channels / groups) || groups < 1) refuse(c, `makes ${groups} groups of ${channels} channels`, DAMAGED);
  const rows = c.op('Reshape', [x, c.b.ints([0, groups, -1])], {}, 'groups');
  const filled = (value: number): Value => c.b.floats(c.b.fresh(`${c.layer}/all${value}`), [groups], new Float32Array(groups).fill(value));
  const even = c.op('InstanceNormalization', [rows, filled(1), filled(0)], { epsilon: { float: numberOf(c, 'epsilon', 1e-3) } }, 'even', {
    types: [rows],
  });
  const [scale, center] = [flagOf(c.config, 'scale', true), flagOf(c.config, 'center', true)];
  let y = c.op('Reshape', [even, c.b.ints([0, channels, ...spatial])], {}, scale || center ? 'apart' : '');
  if (scale)
    y = c.op('Mul', [y, perChannel(c, 'gamma', c.weight('gamma', [channels]).data, x.shape.length)], {}, center ? 'scaled' : '', {
      types: [x],
    });
  if (center) y = c.op('Add', [y, perChannel(c, 'beta', c.weight('beta', [channels]).data, x.shape.length)], {}, '', { types: [x] });
  return carried(y);
};

/** Least standard deviation that a value is divided by (keras.backend.epsilon). */
const LEAST = 1e-7;

/** (x − mean) / deviation, as measured once on data, or given. */
const normalization: LayerReader = (c) => {
  const input = only(c);
  const x = inSourceOrder(c, input);
  const channels = x.shape[1];
  const whole = c.config['axis'] === null;
  const rank = x.shape.length;
  if (!whole && !alongChannels(c, rank))
    refuse(c, `normalises along axis ${JSON.stringify(c.config['axis'])}, which does not hold the channels`);
  const figures = (field: string): readonly number[] => {
    const given = c.config[field];
    if (given === null || given === undefined) return Array.from(c.weight(field, whole ? [] : [channels]).data);
    const numbers = (isList(given) ? given.flat(8) : [given]).map(Number);
    if (numbers.some((n) => !Number.isFinite(n)) || (numbers.length !== 1 && numbers.length !== channels))
      refuse(c, `has the ${field} ${JSON.stringify(given)}`, 'One number, or one for each channel, is read.');
    return numbers;
  };
  const [mean, deviation] = [figures('mean'), figures('variance').map((v) => Math.max(LEAST, Math.sqrt(v)))];
  const all = (values: readonly number[]): number[] => Array.from({ length: channels }, (_, i) => values[values.length === 1 ? 0 : i]);
  const inverse = flagOf(c.config, 'invert', false);
  const scale = all(deviation).map((d) => (inverse ? d : 1 / d));
  const offset = all(mean).map((m, i) => (inverse ? m : -m * scale[i]));
  const scaled = c.op('Mul', [x, perChannel(c, 'scale', scale, rank)], {}, 'scaled', { types: [x] });
  return carried(c.op('Add', [scaled, perChannel(c, 'offset', offset, rank)], {}, '', { types: [x] }));
};

/** x / √(mean of x² + ε) · scale, over the channels (Zhang, Sennrich 2019). */
const rmsNormalization: LayerReader = (c) => {
  const { value: x, order } = only(c);
  const rank = x.shape.length;
  if (order || !alongChannels(c, rank))
    refuse(c, `normalises along axis ${JSON.stringify(c.config['axis'])}, which does not hold the channels`);
  const squares = c.op('Mul', [x, x], {}, 'squares', { types: [x] });
  const mean = c.op('ReduceMean', [squares], { axes: [1], keepdims: 1 }, 'mean', {
    types: [{ type: x.type, shape: x.shape.map((d, axis) => (axis === 1 ? 1 : d)) }],
  });
  const root = c.op('Sqrt', [c.op('Add', [mean, c.b.scalar(numberOf(c, 'epsilon', 1e-6))], {}, 'shifted')], {}, 'root');
  const even = c.op('Div', [x, root], {}, 'even', { types: [x] });
  return carried(c.op('Mul', [even, perChannel(c, 'scale', c.weight('scale', [x.shape[1]]).data, rank)], {}, '', { types: [x] }));
};

/** x / |x|, over the channels or other axes. */
const unitNormalization: LayerReader = (c) => {
  const input = only(c);
  const x = input.value;
  const given = c.config['axis'] ?? -1;
  const axes = (isList(given) ? given : [given]).map((a) => graphAxis(c, Number(a), x.shape.length));
  const squares = c.op('Mul', [x, x], {}, 'squares', { types: [x] });
  const sum = c.op('ReduceSum', [squares, c.b.ints(axes)], { keepdims: 1 }, 'sum');
  const root = c.op('Sqrt', [c.op('Max', [sum, c.b.scalar(1e-12)], {}, 'most')], {}, 'root');
  return carried(c.op('Div', [x, root], {}, '', { types: [x] }), input.order);
};

/** The lengths of an image made others, by pixel centres. */
const resizing: LayerReader = (c) => {
  const { value: x } = only(c);
  const mode = c.config['interpolation'] ?? 'bilinear';
  if (x.shape.length !== 4) refuse(c, `resizes a value of ${x.shape.length} axes`, DAMAGED);
  if (mode !== 'bilinear' && mode !== 'nearest')
    refuse(c, `has the interpolation ${JSON.stringify(mode)}`, 'Bilinear and nearest are read.');
  for (const field of ['crop_to_aspect_ratio', 'pad_to_aspect_ratio', 'antialias'])
    if (flagOf(c.config, field, false)) refuse(c, `sets ${field}, which is not read`);
  const size = [numberOf(c, 'height', 0), numberOf(c, 'width', 0)];
  if (size.some((s) => !Number.isInteger(s) || s < 1)) refuse(c, `resizes to ${size.join('×')}`, DAMAGED);
  const [height, width] = x.shape.slice(2);
  if (size[0] === height && size[1] === width) return carried(x);
  const scales = c.b.floats(c.b.fresh(`${c.layer}/scales`), [4], Float32Array.of(1, 1, size[0] / height, size[1] / width));
  const exact = size.every((s, i) => Math.floor(Math.fround(s / [height, width][i]) * [height, width][i]) === s);
  if (!exact) refuse(c, 'resizes by a factor that cannot be written');
  const how =
    mode === 'nearest'
      ? { mode, coordinate_transformation_mode: 'half_pixel', nearest_mode: 'round_prefer_ceil' }
      : { mode: 'linear', coordinate_transformation_mode: 'half_pixel' };
  return carried(c.op('Resize', [x, undefined, scales], how));
};

export const normalizationLayers: Readonly<Record<string, LayerReader>> = {
  GroupNormalization: groupNormalization,
  Normalization: normalization,
  RMSNormalization: rmsNormalization,
  UnitNormalization: unitNormalization,
  Resizing: resizing,
};
