/** Images read at computed places: GridSample, AffineGrid, RoiAlign, MaxRoiPool, Col2Im, CenterCropPad, DeformConv. Shapes only. */
import { attr, type Dim } from '../onnx/model';
import { inputNumbers, normalizeAxes } from './axes';
import { freezeAxes, keepsChannels } from './channel-axes';
import { conv } from './conv';
import type { ChannelContext, Operator, ValueType } from './operator';

const typeOf = (v: ValueType | undefined): ValueType['type'] => v?.type ?? 'float32';

/** Channels lie on axis 1 of input 0 and come out on axis 1: each image plane is read alike. */
function passPlanes(context: ChannelContext): void {
  const rank = context.inputs[0]?.shape?.length ?? 0;
  for (let axis = 2; axis < rank; axis++) freezeAxes(context, 'reads them at computed places', [axis]);
  for (let input = 1; input < context.inputs.length; input++) freezeAxes(context, 'takes them for places', undefined, input);
  context.setOutput(0, 1, context.atoms(0, 1));
}

const gridSample: Operator = {
  opTypes: ['GridSample'],
  infer: ({ inputs }): ValueType[] => {
    const [x, grid] = [inputs[0]?.shape, inputs[1]?.shape];
    return [{ type: typeOf(inputs[0]), shape: x && grid && [x[0], x[1], ...grid.slice(1, -1)] }];
  },
  channels: passPlanes,
};

const affineGrid: Operator = {
  opTypes: ['AffineGrid'],
  infer(context) {
    const size = inputNumbers(context, 1);
    const type = typeOf(context.inputs[0]);
    if (typeof size === 'string') return [{ type }];
    return [{ type, shape: [size[0], ...size.slice(2), size.length - 2] }];
  },
  ...keepsChannels('takes them for a map of places'),
};

/** One pooled image for each region. */
const regions = (opType: string, size: (node: Parameters<typeof attr.int>[0]) => readonly number[]): Operator => ({
  opTypes: [opType],
  infer: ({ node, inputs }): ValueType[] => {
    const [x, rois] = [inputs[0]?.shape, inputs[1]?.shape];
    return [{ type: typeOf(inputs[0]), shape: x && rois && [rois[0], x[1], ...size(node)] }];
  },
  channels: passPlanes,
});

const col2Im: Operator = {
  opTypes: ['Col2Im'],
  infer(context) {
    const { inputs } = context;
    const type = typeOf(inputs[0]);
    const [image, block] = [inputNumbers(context, 1), inputNumbers(context, 2)];
    const shape = inputs[0]?.shape;
    if (!shape || typeof image === 'string' || typeof block === 'string') return [{ type }];
    const area = block.reduce((x, y) => x * y, 1);
    const channels: Dim = typeof shape[1] === 'number' ? shape[1] / area : '';
    return [{ type, shape: [shape[0], channels, ...image] }];
  },
  ...keepsChannels('gathers them into places of an image'),
};

const centerCropPad: Operator = {
  opTypes: ['CenterCropPad'],
  infer(context) {
    const shape = context.inputs[0]?.shape;
    const type = typeOf(context.inputs[0]);
    if (!shape) return [{ type }];
    const target = inputNumbers(context, 1);
    if (typeof target === 'string') return [{ type, shape: shape.map(() => '') }];
    const axes = normalizeAxes(attr.ints(context.node, 'axes') ?? shape.map((_, axis) => axis), shape.length);
    return [{ type, shape: shape.map((d, axis) => (axes.includes(axis) ? target[axes.indexOf(axis)] : d)) }];
  },
  ...keepsChannels('cuts or pads them to a stated number'),
};

/** Its shapes are those of a convolution; the third input says where it reads, the fourth is the bias. */
const deformConv: Operator = {
  opTypes: ['DeformConv'],
  infer: (context) =>
    conv.infer({
      ...context,
      node: { ...context.node, inputs: [0, 1, 3].flatMap((i) => context.node.inputs[i] ?? []) },
      inputs: [context.inputs[0], context.inputs[1], context.inputs[3]],
    }),
  ...keepsChannels('reads them at computed places'),
};

export const imageSampling: readonly Operator[] = [
  gridSample,
  affineGrid,
  regions('RoiAlign', (node) => [attr.int(node, 'output_height', 1), attr.int(node, 'output_width', 1)]),
  regions('MaxRoiPool', (node) => attr.ints(node, 'pooled_shape') ?? []),
  col2Im,
  centerCropPad,
  deformConv,
];
