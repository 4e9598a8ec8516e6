/** Layers without weights that pool, pad, enlarge, reorder or flatten. */

import { elementCount } from '../onnx/tensor';
import type { Value } from '../ops/builder';
import {
  carried,
  DAMAGED,
  flagOf,
  flatOrder,
  graphLengths,
  graphPermutation,
  inSourceOrder,
  type LayerContext,
  type LayerReader,
  lengthsOf,
  only,
  padsAttribute,
  refuse,
  sourceLengths,
  spatialLengths,
  textOf,
  windowPads,
} from './keras-context';
import { maskedMean } from './keras-masks';
import { isList } from './keras-topology';

/** Padding does not count in an average: in TensorFlow, as by default in ONNX. */
const pool =
  (opType: 'MaxPool' | 'AveragePool', rank: number): LayerReader =>
  (c) => {
    const x = only(c).value;
    const lengths = spatialLengths(c, x, rank);
    const kernel = lengthsOf(
      c,
      'pool_size',
      rank,
      Array.from({ length: rank }, () => 2),
    );
    const strides = lengthsOf(c, 'strides', rank, kernel);
    const ones = kernel.map(() => 1);
    const pads = padsAttribute(windowPads(c, lengths, kernel, strides, ones));
    return carried(c.op(opType, [x], { kernel_shape: kernel, strides, pads }));
  };

const globalPool =
  (opType: 'GlobalMaxPool' | 'GlobalAveragePool', rank: number): LayerReader =>
  (c) => {
    const { value: x, mask } = only(c);
    spatialLengths(c, x, rank);
    // TensorFlow.js averages over all steps, masked or not.
    if (mask && rank === 1 && opType === 'GlobalAveragePool' && c.dialect !== 'tfjs') {
      const mean = maskedMean(c, x, mask);
      return carried(flagOf(c.config, 'keepdims', false) ? mean : c.op('Flatten', [mean], { axis: 1 }));
    }
    if (flagOf(c.config, 'keepdims', false)) return carried(c.op(opType, [x]));
    return carried(c.op('Flatten', [c.op(opType, [x], {}, 'pool')], { axis: 1 }));
  };

const flatten: LayerReader = (c) => {
  const { value: x, order } = only(c);
  if (x.shape.length === 2) return carried(x, order);
  // A Flatten set to 'channels_first' puts channels last before it flattens; one without leaves the axes as they lie.
  const source = c.layout === 'first' && textOf(c.config, 'data_format', 'channels_last') === 'channels_first' ? 'last' : c.layout;
  const flat = c.op('Flatten', [x], { axis: 1 });
  return carried(flat, flatOrder(sourceLengths(x.shape.slice(1), source), source));
};

/** The source's elements keep their order; where the graph's order differs, and no later layer can take that up, a Gather restores it. */
const reshape: LayerReader = (c) => {
  const input = only(c);
  const { value: x } = input;
  const size = elementCount(x.shape.slice(1));
  // TensorFlow.js writes null where Keras writes -1: as long as the rest asks for.
  const shape = c.config['target_shape'];
  const given = isList(shape) ? shape.map((d) => d ?? -1) : [0];
  if (given.some((d) => typeof d !== 'number' || !Number.isInteger(d) || d === 0 || d < -1))
    refuse(c, `has the target_shape ${JSON.stringify(shape)}`, DAMAGED);
  const known = elementCount((given as readonly number[]).filter((d) => d !== -1));
  const target = (given as readonly number[]).map((d) => (d === -1 ? size / known : d));
  if (elementCount(target) !== size || target.some((d) => !Number.isInteger(d)))
    refuse(c, `puts ${size} elements into the shape [${given.join(', ')}]`, DAMAGED);
  const before = input.order ?? flatOrder(sourceLengths(x.shape.slice(1), c.layout), c.layout);
  const to = (value: Value, lengths: readonly number[], part: string): Value =>
    c.op('Reshape', [value, c.b.ints([-1, ...lengths])], {}, part);
  if (target.length === 1) return carried(x.shape.length === 2 ? x : to(x, target, ''), before);
  const after = flatOrder(target, c.layout);
  const lengths = graphLengths(target, c.layout);
  if (after.every((source, i) => source === before[i])) return carried(to(x, lengths, ''));
  // As one order: where the graph now holds what it is to hold.
  const place = new Int32Array(size);
  for (const [i, source] of before.entries()) place[source] = i;
  const flat = x.shape.length === 2 ? x : to(x, [size], 'flat');
  const ordered = c.op('Gather', [flat, c.b.ints([...after].map((source) => place[source]))], { axis: 1 }, 'order');
  return carried(to(ordered, lengths, ''));
};

const permute: LayerReader = (c) => {
  const input = only(c);
  const rank = input.value.shape.length;
  const dims = lengthsOf(c, 'dims', rank - 1, []);
  if (new Set(dims).size !== dims.length || dims.some((d) => d >= rank)) refuse(c, `has the dims ${JSON.stringify(dims)}`, DAMAGED);
  const perm = graphPermutation([0, ...dims], c.layout);
  if (perm.every((axis, i) => axis === i)) return input;
  return carried(c.op('Transpose', [input.value], { perm }));
};

/** Amounts before and after each spatial axis: one number, one for each axis, or a pair for each. */
function margins(c: LayerContext, field: string, rank: number): { before: number[]; after: number[] } {
  const given = c.config[field] ?? 1;
  const perAxis = isList(given) && !(rank === 1 && given.length === 2) ? given : Array.from({ length: rank }, () => given);
  const pairs = perAxis.map((entry) => (isList(entry) ? entry : [entry, entry]));
  const numbers = pairs.flat();
  if (
    pairs.length !== rank ||
    pairs.some((p) => p.length !== 2) ||
    numbers.some((n) => typeof n !== 'number' || !Number.isInteger(n) || n < 0)
  )
    refuse(c, `has the ${field} ${JSON.stringify(given)}`, DAMAGED);
  return { before: pairs.map((p) => p[0] as number), after: pairs.map((p) => p[1] as number) };
}

const zeroPadding =
  (rank: number): LayerReader =>
  (c) => {
    const x = only(c).value;
    spatialLengths(c, x, rank);
    const { before, after } = margins(c, 'padding', rank);
    return carried(c.op('Pad', [x, c.b.ints([0, 0, ...before, 0, 0, ...after])]));
  };

const cropping =
  (rank: number): LayerReader =>
  (c) => {
    const x = only(c).value;
    const lengths = spatialLengths(c, x, rank);
    const { before, after } = margins(c, 'cropping', rank);
    const ends = lengths.map((d, i) => d - after[i]);
    if (ends.some((e, i) => e <= before[i])) refuse(c, 'crops everything away', DAMAGED);
    const axes = lengths.map((_, i) => i + 2);
    return carried(c.op('Slice', [x, c.b.ints(before), c.b.ints(ends), c.b.ints(axes)]));
  };

const upSampling =
  (rank: number): LayerReader =>
  (c) => {
    const x = only(c).value;
    spatialLengths(c, x, rank);
    const size = lengthsOf(
      c,
      'size',
      rank,
      Array.from({ length: rank }, () => 2),
    );
    const mode = textOf(c.config, 'interpolation', 'nearest');
    if (mode !== 'nearest' && mode !== 'bilinear') refuse(c, `has the interpolation '${mode}'`, 'Nearest and bilinear are read.');
    const scales = c.b.floats(c.b.fresh(`${c.layer}/scales`), [rank + 2], Float32Array.of(1, 1, ...size));
    // TensorFlow.js measures positions from corners, Keras from the middle of pixels; for the nearest of a whole multiple both agree.
    const attributes =
      mode === 'nearest'
        ? { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' }
        : { mode: 'linear', coordinate_transformation_mode: c.dialect === 'tfjs' ? 'asymmetric' : 'half_pixel' };
    return carried(c.op('Resize', [x, undefined, scales], attributes));
  };

/** Layers that do nothing once a model is trained. */
const nothing: LayerReader = (c) => only(c);

/** x · scale + offset, with numbers for all or for each channel. */
const rescaling: LayerReader = (c) => {
  const input = only(c);
  const channels = input.value.shape[1];
  const factor = (field: string, fallback: number): Value | undefined => {
    const given = c.config[field] ?? fallback;
    const numbers = (isList(given) ? given : [given]).map(Number);
    if (numbers.some((n) => !Number.isFinite(n)) || (numbers.length !== 1 && numbers.length !== channels))
      refuse(c, `has the ${field} ${JSON.stringify(given)}`, 'One number, or one for each channel, is read.');
    if (numbers.length === 1) return numbers[0] === (field === 'scale' ? 1 : 0) ? undefined : c.b.scalar(numbers[0]);
    if (c.layout === 'first') refuse(c, `has a ${field} for each place along the last axis`);
    const shape = [channels, ...input.value.shape.slice(2).map(() => 1)];
    return c.b.floats(c.b.fresh(`${c.layer}/${field}`), shape, Float32Array.from(numbers));
  };
  const scale = factor('scale', 1);
  const offset = factor('offset', 0);
  // Numbers for each channel of a flat value lie in the source's order.
  const start = (isList(c.config['scale']) || isList(c.config['offset'])) && input.order ? inSourceOrder(c, input) : undefined;
  let y = start ?? input.value;
  if (scale) y = c.op('Mul', [y, scale], {}, offset ? 'scale' : '');
  if (offset) y = c.op('Add', [y, offset]);
  return carried(y, start ? undefined : input.order);
};

export const shapeLayers: Readonly<Record<string, LayerReader>> = {
  MaxPooling1D: pool('MaxPool', 1),
  MaxPooling2D: pool('MaxPool', 2),
  AveragePooling1D: pool('AveragePool', 1),
  AveragePooling2D: pool('AveragePool', 2),
  GlobalMaxPooling1D: globalPool('GlobalMaxPool', 1),
  GlobalMaxPooling2D: globalPool('GlobalMaxPool', 2),
  GlobalAveragePooling1D: globalPool('GlobalAveragePool', 1),
  GlobalAveragePooling2D: globalPool('GlobalAveragePool', 2),
  MaxPooling3D: pool('MaxPool', 3),
  AveragePooling3D: pool('AveragePool', 3),
  GlobalMaxPooling3D: globalPool('GlobalMaxPool', 3),
  GlobalAveragePooling3D: globalPool('GlobalAveragePool', 3),
  Flatten: flatten,
  Reshape: reshape,
  Permute: permute,
  ZeroPadding1D: zeroPadding(1),
  ZeroPadding2D: zeroPadding(2),
  ZeroPadding3D: zeroPadding(3),
  Cropping1D: cropping(1),
  Cropping2D: cropping(2),
  Cropping3D: cropping(3),
  UpSampling1D: upSampling(1),
  UpSampling2D: upSampling(2),
  Rescaling: rescaling,
  ...Object.fromEntries(
    [
      'Dropout',
      'SpatialDropout1D',
      'SpatialDropout2D',
      'SpatialDropout3D',
      'GaussianDropout',
      'GaussianNoise',
      'AlphaDropout',
      'ActivityRegularization',
      'Identity',
      'RandomFlip',
      'RandomRotation',
      'RandomZoom',
      'RandomTranslation',
      'RandomContrast',
      'RandomBrightness',
    ].map((name) => [name, nothing]),
  ),
};
