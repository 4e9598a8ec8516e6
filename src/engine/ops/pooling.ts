/** Pooling over spatial windows or whole maps; channels pass through. */
import { UserError } from '../errors';
import { type AttributeValue, attr, type Dim, type Node } from '../onnx/model';
import { elementCount } from '../onnx/tensor';
import { inputNumbers } from './axes';
import type { GraphBuilder, Value } from './builder';
import { freezeAxes } from './channel-axes';
import { binary, expand, pad, range, repeatElements, reshape, scale, slice, spreadWithZeros } from './emit';
import type { ChannelContext, GradientContext, InferContext, InputGradients, Operator, OutputGradients, ValueType } from './operator';
import { leftOver, outputLengths, overlaps, positions, reach, resolveWindow, type Window, windowAttributes } from './window';

const spatialOf = ({ shape }: Pick<ValueType, 'shape'>): NonNullable<ValueType['shape']> | undefined => {
  if (shape && shape.length < 3) throw new UserError(`its input has the shape [${shape.join(', ')}], which has no spatial axes`);
  return shape?.slice(2);
};

function requireInput({ inputs }: InferContext): ValueType {
  if (!inputs[0]) throw new UserError('it needs an input');
  return inputs[0];
}

function inferWindowed(context: InferContext): ValueType[] {
  const x = requireInput(context);
  const spatial = spatialOf(x);
  const shape = spatial && x.shape && [...x.shape.slice(0, 2), ...outputLengths(windowAttributes(context.node, spatial.length), spatial)];
  // The second output of MaxPool: where each maximum was.
  return context.node.outputs.map((_, i) => ({ type: i === 0 ? x.type : 'int64', shape }));
}

function inferGlobal(context: InferContext): ValueType[] {
  const x = requireInput(context);
  const spatial = spatialOf(x);
  return [{ type: x.type, shape: spatial && x.shape && [...x.shape.slice(0, 2), ...spatial.map(() => 1)] }];
}

function passChannels(context: ChannelContext): void {
  const rank = context.outputs[0].shape?.length ?? 0;
  context.outputs.forEach((_, output) => {
    for (let axis = 0; axis < rank; axis++) context.setOutput(output, axis, axis < 2 ? context.atoms(0, axis) : null);
  });
}

const windowOf = (node: Node, x: Value): Window => resolveWindow(windowAttributes(node, x.shape.length - 2), x.shape.slice(2));

const maxPoolAttributes = (w: Window): Record<string, AttributeValue> => ({
  kernel_shape: w.kernel,
  strides: w.strides,
  dilations: w.dilations,
  pads: [...w.pads.before, ...w.pads.after],
  ceil_mode: w.ceil ? 1 : 0,
});

const pooledShape = (x: Value, w: Window): number[] => [...x.shape.slice(0, 2), ...w.output];

const maxPoolAlone = (b: GraphBuilder, x: Value, w: Window): Value =>
  b.op('MaxPool', [x], maxPoolAttributes(w), { types: [{ shape: pooledShape(x, w) }] });

/** MaxPool of x with the places of its maxima, as positions in the whole of x. */
function maxPoolWithPlaces(b: GraphBuilder, x: Value, w: Window): Value[] {
  const shape = pooledShape(x, w);
  return b.ops('MaxPool', [x], maxPoolAttributes(w), { types: [{ shape }, { type: 'int64', shape }] });
}

/** True where the windows tile the input, but for what may be left over at the ends. */
const tiles = (w: Window): boolean =>
  w.kernel.every((k, i) => k === w.strides[i] && (w.dilations[i] === 1 || k === 1)) &&
  [...w.pads.before, ...w.pads.after].every((p) => p === 0) &&
  leftOver(w).every((spare) => spare >= 0);

/** x shaped as the part of the input that tiled windows cover → the input's shape, zeros where no window was. */
const padToInput = (b: GraphBuilder, x: Value, w: Window): Value =>
  pad(
    b,
    x,
    x.shape.map(() => 0),
    [0, 0, ...w.input.map((d, i) => d - x.shape[2 + i])],
  );

/**
 * Windows that tile: an element is the maximum where it equals its window's output. No places are needed, and that is what makes it
 * fast: onnxruntime's MaxPool takes 20 times as long where it must report them (2.7 ms against 0.14 for [128, 6, 28, 28]).
 * Equal maxima of one window share its gradient, which is as good a subgradient as any other choice among them.
 */
function tiledMaxPoolBackward(b: GraphBuilder, w: Window, x: Value, y: Value, dy: Value): Value {
  const spatial = w.input.map((_, i) => i + 2);
  const repeated = repeatElements(b, y, w.kernel);
  const zeros = spatial.map(() => 0);
  const covered = slice(b, x, spatial, zeros, repeated.shape.slice(2));
  // 1 where x − y is 0, and 0 where it is below.
  const isMaximum = b.op(
    'HardSigmoid',
    [binary(b, 'Sub', covered, repeated)],
    { alpha: { float: 1e30 }, beta: { float: 1 } },
    { types: [repeated] },
  );
  const window = { kernel_shape: w.kernel, strides: w.strides };
  const fraction = b.op('AveragePool', [isMaximum], window, { types: [y] });
  const share = binary(b, 'Div', scale(b, dy, 1 / elementCount(w.kernel)), fraction);
  return padToInput(b, binary(b, 'Mul', isMaximum, repeatElements(b, share, w.kernel)), w);
}

/** Sends each output's gradient to the element that was the maximum, by the places that MaxPool reports. */
function placedMaxPoolBackward(b: GraphBuilder, w: Window, places: Value, dy: Value, shape: readonly number[]): Value {
  if (!overlaps(w) && w.output.every((d, i) => d <= w.input[i])) {
    // No element is the maximum of two windows, so placing is enough. The places say it all; onnxruntime checks the window
    // attributes only against the output's size, which a window rounded up would exceed.
    const ones = w.kernel.map(() => 1);
    const attributes = { kernel_shape: ones, strides: ones };
    return b.op('MaxUnpool', [dy, places, b.ints(shape)], attributes, { types: [{ type: dy.type, shape }] });
  }
  const flat = [elementCount(shape)];
  const zeros = expand(b, reshape(b, b.scalar(0), [1]), flat);
  const line = (v: Value): Value => reshape(b, v, [elementCount(v.shape)]);
  const types = [{ type: dy.type, shape: flat }];
  return reshape(b, b.op('ScatterElements', [zeros, line(places), line(dy)], { axis: 0, reduction: 'add' }, { types }), shape);
}

const maxPool: Operator = {
  opTypes: ['MaxPool'],
  infer: inferWindowed,
  gradient({ node, b, inputs: [x], outputs: [y], wants }, [dy]) {
    if (!x || !dy || !wants(0)) return [];
    const w = windowOf(node, x);
    if (tiles(w)) return [tiledMaxPoolBackward(b, w, x, y, dy)];
    return [placedMaxPoolBackward(b, w, maxPoolWithPlaces(b, x, w)[1], dy, x.shape)];
  },
  // Its own form in training, so that the places, where needed, come from the one forward pass.
  training({ node, b, inputs: [x], wants }) {
    if (!x) throw new UserError('it needs an input');
    const w = windowOf(node, x);
    const placed = !tiles(w) || node.outputs.length > 1;
    const outputs = placed ? maxPoolWithPlaces(b, x, w) : [maxPoolAlone(b, x, w)];
    return {
      outputs: outputs.slice(0, node.outputs.length),
      backward: ([dy]) => {
        if (!dy || !wants(0)) return [];
        return [tiles(w) ? tiledMaxPoolBackward(b, w, x, outputs[0], dy) : placedMaxPoolBackward(b, w, outputs[1], dy, x.shape)];
      },
    };
  },
  channels: passChannels,
};

/** How many elements each window averages: [1, 1, output lengths…], or one number where all are the same. */
function averagedCounts(b: GraphBuilder, w: Window, countPadding: boolean): Value | number {
  const spans = w.output.map((outputs, i) => {
    const [low, high] = countPadding ? [-w.pads.before[i], w.input[i] + w.pads.after[i]] : [0, w.input[i]];
    return range(0, outputs).map((o) => {
      const start = o * w.strides[i] - w.pads.before[i];
      return range(0, w.kernel[i]).filter((k) => start + k * w.dilations[i] >= low && start + k * w.dilations[i] < high).length;
    });
  });
  const counts = positions(w.output).map((at) => at.reduce((product, o, i) => product * spans[i][o], 1));
  if (counts.every((c) => c === counts[0])) return counts[0];
  return b.floats(b.fresh('counts'), [1, 1, ...w.output], Float32Array.from(counts));
}

function averagePoolGradient({ node, b, inputs: [x], wants }: GradientContext, [dy]: OutputGradients): InputGradients {
  if (!x || !dy || !wants(0)) return [];
  const w = windowOf(node, x);
  const counts = averagedCounts(b, w, attr.int(node, 'count_include_pad', 0) === 1);
  const share = typeof counts === 'number' ? scale(b, dy, 1 / counts) : binary(b, 'Div', dy, counts);
  const [batch, channels] = x.shape;
  let spread: Value;
  if (w.kernel.every((k, i) => k === w.strides[i] && w.dilations[i] === 1)) {
    // Windows side by side: each share is copied over its window.
    spread = repeatElements(b, share, w.kernel);
  } else {
    // Each input element gets the shares of all windows over it: the sums over windows of the shares with zeros between.
    const apart = spreadWithZeros(b, reshape(b, share, [batch * channels, 1, ...w.output]), w.strides);
    const spans = reach(w);
    const lengths = apart.shape.slice(2).map((d, i) => d + spans[i] - 1);
    const ones = b.floats(b.fresh('ones'), [1, 1, ...w.kernel], new Float32Array(elementCount(w.kernel)).fill(1));
    const pads = spans.map((span) => span - 1);
    spread = b.op(
      'Conv',
      [apart, ones],
      { kernel_shape: w.kernel, dilations: w.dilations, pads: [...pads, ...pads] },
      { types: [{ type: x.type, shape: [batch * channels, 1, ...lengths] }] },
    );
    spread = reshape(b, spread, [batch, channels, ...lengths]);
  }
  // What lies over the padding is cut off; what no window reached is zero.
  const before = w.pads.before.map((p) => -p);
  const after = w.input.map((d, i) => d - spread.shape[2 + i] - before[i]);
  return [pad(b, spread, [0, 0, ...before], [0, 0, ...after])];
}

const averagePool: Operator = {
  opTypes: ['AveragePool'],
  infer: inferWindowed,
  gradient: averagePoolGradient,
  channels: passChannels,
};

const globalAveragePool: Operator = {
  opTypes: ['GlobalAveragePool'],
  infer: inferGlobal,
  gradient({ b, inputs: [x], wants }, [dy]) {
    if (!x || !dy || !wants(0)) return [];
    return [expand(b, scale(b, dy, 1 / elementCount(x.shape.slice(2))), x.shape)];
  },
  channels: passChannels,
};

const globalMaxPool: Operator = {
  opTypes: ['GlobalMaxPool'],
  infer: inferGlobal,
  gradient({ b, inputs: [x], wants }, [dy]) {
    if (!x || !dy || !wants(0)) return [];
    // A MaxPool whose one window is the whole map.
    const lengths = x.shape.slice(2);
    const ones = lengths.map(() => 1);
    const zeros = lengths.map(() => 0);
    const w: Window = {
      kernel: lengths,
      strides: lengths,
      dilations: ones,
      pads: { before: zeros, after: zeros },
      autoPad: 'NOTSET',
      ceil: false,
      input: lengths,
      output: ones,
    };
    return [placedMaxPoolBackward(b, w, maxPoolWithPlaces(b, x, w)[1], dy, x.shape)];
  },
  channels: passChannels,
};

/** (Σ |x|^p)^(1/p) over windows, or over the whole map. */
const lpPool: Operator = { opTypes: ['LpPool'], infer: inferWindowed, channels: passChannels };

const globalLpPool: Operator = {
  opTypes: ['GlobalLpPool'],
  infer: inferGlobal,
  gradient({ node, b, inputs: [x], outputs: [y] }, [dy]) {
    if (!x || !dy) return [];
    // d|x|^p: sign(x)·|x|^(p−1); the root gives y^(1−p).
    const p = attr.int(node, 'p', 2);
    const power = (v: Value, exponent: number): Value => b.op('Pow', [v, b.scalar(exponent)]);
    const slope = binary(b, 'Mul', b.op('Sign', [x]), power(b.op('Abs', [x]), p - 1));
    return [binary(b, 'Mul', slope, binary(b, 'Mul', dy, power(y, 1 - p)))];
  },
  channels: passChannels,
};

/** Values put back at the places that a MaxPool reported; zeros elsewhere. */
const maxUnpool: Operator = {
  opTypes: ['MaxUnpool'],
  infer(context) {
    const x = requireInput(context);
    const spatial = spatialOf(x);
    if (!spatial || !x.shape) return [{ type: x.type }];
    if (context.inputs[2]) {
      const stated = inputNumbers(context, 2);
      return [{ type: x.type, shape: typeof stated === 'string' ? x.shape.map(() => '') : stated }];
    }
    const w = windowAttributes(context.node, spatial.length);
    const lengths = spatial.map((d, i): Dim => {
      const pads = (w.pads?.before[i] ?? 0) + (w.pads?.after[i] ?? 0);
      return typeof d === 'number' ? (d - 1) * w.strides[i] + w.kernel[i] - pads : '';
    });
    return [{ type: x.type, shape: [...x.shape.slice(0, 2), ...lengths] }];
  },
  gradient({ b, inputs: [x, places] }, [dy]) {
    if (!x || !places || !dy) return [];
    const flat = reshape(b, dy, [elementCount(dy.shape)]);
    return [b.op('Gather', [flat, places], { axis: 0 })];
  },
  // Places count through all channels, so they would have to be counted anew.
  channels(context) {
    for (const input of [0, 1]) freezeAxes(context, 'puts them at places counted through all channels', undefined, input);
    context.setOutput(0, 0, context.atoms(0, 0));
  },
};

export const pooling: readonly Operator[] = [maxPool, averagePool, globalAveragePool, globalMaxPool, lpPool, globalLpPool, maxUnpool];
