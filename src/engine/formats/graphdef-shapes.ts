/** TensorFlow operators that rearrange, cut, join or reduce. Where everything is known before the model runs, they are computed here. */
import { elementCount } from '../onnx/tensor';
import type { Value } from '../ops/builder';
import {
  axisOf,
  type Carried,
  type Constant,
  fixedInts,
  intsOf,
  isConstant,
  type NodeContext,
  type NodeReader,
  refuseNode,
  shapeOf,
  whole,
} from './graphdef-context';

const BATCH = Number.NaN;

/** Numbers known before the model runs; the first length of a value that follows the batch is open. */
const shape: NodeReader = (c) => {
  const [x] = c.inputs;
  const lengths = [...shapeOf(x)];
  if (!isConstant(x) && lengths.length > 0) lengths[0] = BATCH;
  return whole('', [lengths.length], lengths);
};

/** A target for ONNX's Reshape: an open batch is what the input has in front (0), or whatever is left (−1). */
function target(c: NodeContext, given: readonly number[]): number[] {
  const open = given.filter((d) => d === -1).length;
  return given.map((d, i) => {
    if (!Number.isNaN(d)) return d;
    if (open === 0) return -1;
    return i === 0 ? 0 : refuseNode(c, 'leaves two lengths open');
  });
}

function reshaped(c: NodeContext, given: readonly number[]): Carried {
  const [x] = c.inputs;
  if (isConstant(x)) {
    const known = elementCount(given.filter((d) => d !== -1));
    const dims = given.map((d) => (d === -1 ? x.data.length / known : d));
    if (elementCount(dims) !== x.data.length || !dims.every(Number.isInteger))
      refuseNode(c, `puts ${x.data.length} elements into the shape [${given.join(', ')}]`);
    return { ...x, name: '', dims };
  }
  // A leading 1 stands for the batch where the graph was made for one sample: what is left then follows it.
  return c.op('Reshape', [x, c.b.ints(target(c, given))]);
}

const squeeze: NodeReader = (c) => {
  const lengths = shapeOf(c.inputs[0]);
  const stated = c.node.attributes.get('squeeze_dims')?.ints ?? c.node.attributes.get('axis')?.ints ?? [];
  // With nothing stated all axes of length 1 go, but for the batch, whose length 1 is only assumed here.
  const away =
    stated.length > 0
      ? stated.map((a) => axisOf(c, a, lengths.length))
      : lengths.flatMap((d, i) => (d === 1 && (i > 0 || isConstant(c.inputs[0])) ? [i] : []));
  const [x] = c.inputs;
  if (isConstant(x)) return { ...x, name: '', dims: lengths.filter((_, i) => !away.includes(i)) };
  return away.length === 0 ? x : c.op('Squeeze', [x, c.b.ints(away)]);
};

const expandDims: NodeReader = (c) => {
  const [x] = c.inputs;
  const lengths = shapeOf(x);
  const axis = axisOf(c, Number(c.constant(1).data[0]), lengths.length + 1);
  if (isConstant(x)) return { ...x, name: '', dims: [...lengths.slice(0, axis), 1, ...lengths.slice(axis)] };
  return c.op('Unsqueeze', [x, c.b.ints([axis])]);
};

const transpose: NodeReader = (c) => c.op('Transpose', [c.value(0)], { perm: fixedInts(c, 1) });

/** Joins along an axis. */
function joined(c: NodeContext, parts: readonly Carried[], axis: number, part = ''): Carried {
  if (parts.length === 0) refuseNode(c, 'joins nothing');
  if (parts.every(isConstant) && parts.every((p) => p.dims.length === 1))
    return {
      ...whole(
        '',
        [parts.reduce((n, p) => n + p.data.length, 0)],
        parts.flatMap((p) => Array.from(p.data)),
      ),
      type: parts[0].type,
    };
  const values = parts.map((p, i) => (isConstant(p) ? c.store(p, `part${i}`) : p));
  return values.length === 1 ? values[0] : c.op('Concat', values, { axis: axisOf(c, axis, values[0].shape.length) }, part);
}

const concat: NodeReader = (c) => joined(c, c.inputs.slice(0, -1), Number(c.constant(c.inputs.length - 1).data[0]));

/** Values stacked along a new axis. */
const pack: NodeReader = (c) => {
  const rank = shapeOf(c.inputs[0]).length + 1;
  const axis = axisOf(c, c.node.attributes.get('axis')?.i ?? 0, rank);
  const grown = c.inputs.map((x, i): Carried => {
    const lengths = shapeOf(x);
    if (isConstant(x)) return { ...x, name: '', dims: [...lengths.slice(0, axis), 1, ...lengths.slice(axis)] };
    return c.op('Unsqueeze', [x, c.b.ints([axis])], {}, `axis${i}`);
  });
  return joined(c, grown, axis);
};

const unpack: NodeReader = (c) => {
  const x = c.value(0);
  const axis = axisOf(c, c.node.attributes.get('axis')?.i ?? 0, x.shape.length);
  const parts = x.shape[axis] === 1 ? [x] : c.ops('Split', [x], { axis }, x.shape[axis]);
  return parts.map((p, i) => c.op('Squeeze', [p, c.b.ints([axis])], {}, `part${i}`));
};

const split =
  (sized: boolean): NodeReader =>
  (c) => {
    const [data, axisInput] = sized ? [0, 2] : [1, 0];
    const x = c.value(data);
    const axis = axisOf(c, Number(c.constant(axisInput).data[0]), x.shape.length);
    const count = sized ? c.constant(1).data.length : (c.node.attributes.get('num_split')?.i ?? 0);
    if (!(count >= 1)) refuseNode(c, `splits into ${count} parts`);
    if (count === 1) return [x];
    if (!sized) return c.ops('Split', [x], { axis }, count);
    const sizes = fixedInts(c, 1);
    const rest = x.shape[axis] - sizes.filter((s) => s >= 0).reduce((a, s) => a + s, 0);
    return c.ops('Split', [x, c.b.ints(sizes.map((s) => (s < 0 ? rest : s)))], { axis }, count);
  };

const pad =
  (mode: 'constant' | 'reflect'): NodeReader =>
  (c) => {
    const pairs = fixedInts(c, 1);
    const x = c.value(0);
    if (pairs.length !== 2 * x.shape.length) refuseNode(c, `pads ${pairs.length / 2} axes of a value of ${x.shape.length}`);
    const pads = [...pairs.filter((_, i) => i % 2 === 0), ...pairs.filter((_, i) => i % 2 === 1)];
    const fill = mode === 'constant' && c.inputs.length > 2 ? Number(c.constant(2).data[0]) : 0;
    if (mode === 'reflect' && c.node.attributes.get('mode')?.s !== 'REFLECT') refuseNode(c, 'mirrors the edge itself, which is not read');
    return c.op('Pad', fill === 0 ? [x, c.b.ints(pads)] : [x, c.b.ints(pads), c.b.scalar(fill)], { mode });
  };

/** Positions along one axis, from start to end by steps, as Python's slices. */
interface Cut {
  readonly start: number;
  readonly end: number;
  readonly step: number;
  /** One position is taken, and its axis goes. */
  readonly single: boolean;
}

function cutsOf(
  c: NodeContext,
  lengths: readonly number[],
  begin: readonly number[],
  end: readonly number[],
  steps: readonly number[],
): Cut[] {
  const mask = (name: string, bit: number): boolean => (((c.node.attributes.get(name)?.i ?? 0) >> bit) & 1) === 1;
  const cuts: Cut[] = [];
  for (let i = 0; i < begin.length; i++) {
    if (mask('new_axis_mask', i)) refuseNode(c, 'adds an axis while it cuts, which is not read');
    if (mask('ellipsis_mask', i)) {
      const skipped = lengths.length - (begin.length - 1);
      for (let k = 0; k < skipped; k++) cuts.push({ start: 0, end: lengths[cuts.length], step: 1, single: false });
      continue;
    }
    const length = lengths[cuts.length];
    if (length === undefined) refuseNode(c, `cuts ${begin.length} axes of a value of ${lengths.length}`);
    const step = steps[i];
    if (!Number.isInteger(step) || step === 0) refuseNode(c, `cuts by steps of ${step}`);
    const single = mask('shrink_axis_mask', i);
    const at = (v: number): number => (v < 0 ? v + length : v);
    const start = mask('begin_mask', i) && !single ? (step > 0 ? 0 : length - 1) : at(begin[i]);
    const stop = single ? start + 1 : mask('end_mask', i) ? (step > 0 ? length : -1) : at(end[i]);
    cuts.push({ start, end: step > 0 ? Math.min(stop, length) : stop, step, single });
  }
  while (cuts.length < lengths.length) cuts.push({ start: 0, end: lengths[cuts.length], step: 1, single: false });
  return cuts;
}

function cut(c: NodeContext, cuts: readonly Cut[]): Carried {
  const [x] = c.inputs;
  const lengths = shapeOf(x);
  const singles = cuts.flatMap((k, i) => (k.single ? [i] : []));
  if (isConstant(x)) {
    if (lengths.length !== 1) refuseNode(c, 'cuts a constant of several axes');
    const [{ start, end, step, single }] = cuts;
    const places: number[] = [];
    for (let i = start; step > 0 ? i < end : i > end; i += step) places.push(i);
    if (places.some((p) => p < 0 || p >= x.data.length)) refuseNode(c, 'cuts past the end of a constant');
    return { ...x, name: '', dims: single ? [] : [places.length], data: places.map((p) => x.data[p]) };
  }
  const axes = cuts.flatMap((k, i) => (k.start !== 0 || k.end !== lengths[i] || k.step !== 1 ? [i] : []));
  if (axes.includes(0)) refuseNode(c, 'cuts the batch');
  if (singles.includes(0)) refuseNode(c, 'takes one sample of the batch');
  let y: Value = x;
  if (axes.length > 0) {
    const part = (of: (k: Cut) => number): Value => c.b.ints(axes.map((a) => of(cuts[a])));
    const steps = axes.some((a) => cuts[a].step !== 1) ? [part((k) => k.step)] : [];
    // An end before the first place is beyond all of them when going backwards.
    y = c.op(
      'Slice',
      [x, part((k) => k.start), part((k) => (k.end < 0 ? Number.MIN_SAFE_INTEGER : k.end)), c.b.ints(axes), ...steps],
      {},
      singles.length > 0 ? 'cut' : '',
    );
  }
  return singles.length > 0 ? c.op('Squeeze', [y, c.b.ints(singles)]) : y;
}

const stridedSlice: NodeReader = (c) => cut(c, cutsOf(c, shapeOf(c.inputs[0]), intsOf(c, 1), intsOf(c, 2), intsOf(c, 3)));

const slice: NodeReader = (c) => {
  const [start, size] = [fixedInts(c, 1), intsOf(c, 2)];
  const lengths = shapeOf(c.inputs[0]);
  if (start.length !== lengths.length || size.length !== lengths.length)
    refuseNode(c, `cuts ${start.length} axes of a value of ${lengths.length}`);
  return cut(
    c,
    lengths.map((d, i) => ({
      start: start[i],
      end: size[i] === -1 || Number.isNaN(size[i]) ? d : start[i] + size[i],
      step: 1,
      single: false,
    })),
  );
};

const gather: NodeReader = (c) => {
  const [x, indices] = c.inputs;
  if (!indices) refuseNode(c, 'lacks its indices');
  const axisInput = c.inputs[2];
  const axis = axisOf(c, axisInput ? Number(c.constant(2).data[0]) : 0, shapeOf(x).length);
  if (isConstant(x) && isConstant(indices) && x.dims.length === 1)
    return { ...x, name: '', dims: indices.dims, data: Array.from(indices.data, (i) => x.data[i]) };
  return c.op('Gather', [c.value(0), c.value(1)], { axis });
};

const REDUCTIONS: Readonly<Record<string, readonly [onnx: string, compute: (a: number, b: number) => number, start: number]>> = {
  Mean: ['ReduceMean', (a, b) => a + b, 0],
  Max: ['ReduceMax', Math.max, Number.NEGATIVE_INFINITY],
  Min: ['ReduceMin', Math.min, Number.POSITIVE_INFINITY],
  Sum: ['ReduceSum', (a, b) => a + b, 0],
  Prod: ['ReduceProd', (a, b) => a * b, 1],
};

const reduce =
  (name: string): NodeReader =>
  (c) => {
    const [opType, compute, start] = REDUCTIONS[name];
    const [x] = c.inputs;
    const keeps = c.node.attributes.get('keep_dims')?.b === true;
    const rank = shapeOf(x).length;
    if (isConstant(x) && rank <= 1 && name !== 'Mean') {
      const total = Array.from(x.data).reduce(compute, start);
      return { ...x, name: '', dims: keeps ? x.dims.map(() => 1) : [], data: [total] };
    }
    const axes = fixedInts(c, 1).map((a) => axisOf(c, a, rank));
    if (axes.length === 0) return c.value(0);
    const value = c.value(0);
    if (opType === 'ReduceSum') return c.op(opType, [value, c.b.ints(axes)], { keepdims: keeps ? 1 : 0 });
    const lengths = value.shape.flatMap((d, i) => (axes.includes(i) ? (keeps ? [1] : []) : [d]));
    return c.op(opType, [value], { axes, keepdims: keeps ? 1 : 0 }, '', { types: [{ type: value.type, shape: lengths }] });
  };

const argMax: NodeReader = (c) => {
  const x = c.value(0);
  const axis = axisOf(c, Number(c.constant(1).data[0]), x.shape.length);
  return c.op('ArgMax', [x], { axis, keepdims: 0 }, '', { types: [{ type: 'int64', shape: x.shape.filter((_, i) => i !== axis) }] });
};

const fill: NodeReader = (c) => {
  const [dims, value] = [intsOf(c, 0), c.constant(1)];
  if (dims.some(Number.isNaN)) refuseNode(c, 'makes a constant for each sample');
  return { ...value, name: '', dims, data: Array.from({ length: elementCount(dims) }, () => value.data[0]) };
};

const tile: NodeReader = (c) => {
  const counts = fixedInts(c, 1);
  const x = c.value(0);
  return c.op('Tile', [x, c.b.ints(counts)], {}, '', { types: [{ type: x.type, shape: x.shape.map((d, i) => d * counts[i]) }] });
};

const range: NodeReader = (c) => {
  const [start, end, step] = [0, 1, 2].map((i) => Number(c.constant(i).data[0]));
  if (!(step !== 0 && Math.abs((end - start) / step) <= 2 ** 20)) refuseNode(c, 'makes a row whose length is not known');
  const data = Array.from({ length: Math.max(0, Math.ceil((end - start) / step)) }, (_, i) => start + i * step);
  return { ...c.constant(0), name: '', dims: [data.length], data } satisfies Constant;
};

export const shapeNodes: Readonly<Record<string, NodeReader>> = {
  Shape: shape,
  Reshape: (c) => reshaped(c, intsOf(c, 1)),
  Squeeze: squeeze,
  ExpandDims: expandDims,
  Transpose: transpose,
  ConcatV2: concat,
  Pack: pack,
  Unpack: unpack,
  Split: split(false),
  SplitV: split(true),
  Pad: pad('constant'),
  PadV2: pad('constant'),
  MirrorPad: pad('reflect'),
  StridedSlice: stridedSlice,
  Slice: slice,
  GatherV2: gather,
  Gather: gather,
  ...Object.fromEntries(Object.keys(REDUCTIONS).map((name) => [name, reduce(name)])),
  ArgMax: argMax,
  Fill: fill,
  Tile: tile,
  Range: range,
};
