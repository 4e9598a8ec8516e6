/** Signal processing and linear algebra that stands beside networks: DFT, STFT, windows, mel weights, determinants. Shapes only. */
import { attr, type Dim } from '../onnx/model';
import { dataTypeOf } from '../onnx/tensor';
import { normalizeAxis } from './axes';
import { keepsChannels } from './channel-axes';
import { foldable } from './folding';
import type { InferContext, Operator, ValueType } from './operator';

const scalarOf = (context: InferContext, input: number): number | undefined => foldable(context.inputs[input])?.[0];
const whole = keepsChannels('takes them for a signal, not for channels');

/** The axis of a DFT: an attribute before set 20, the third input from then on. */
function transformed(context: InferContext, rank: number): number | undefined {
  if (context.opset < 20) return normalizeAxis(attr.int(context.node, 'axis', 1), rank);
  const given = context.inputs[2] ? scalarOf(context, 2) : -2;
  return given === undefined ? undefined : normalizeAxis(given, rank);
}

const half = (d: Dim): Dim => (typeof d === 'number' ? Math.floor(d / 2) + 1 : '');

const dft: Operator = {
  opTypes: ['DFT'],
  infer(context) {
    const { node, inputs } = context;
    const type = inputs[0]?.type ?? 'float32';
    const shape = inputs[0]?.shape;
    if (!shape) return [{ type }];
    const axis = transformed(context, shape.length);
    const length = inputs[1] ? scalarOf(context, 1) : undefined;
    const onesided = attr.int(node, 'onesided', 0) === 1;
    const inverse = attr.int(node, 'inverse', 0) === 1;
    const result = shape.map((d, at): Dim => {
      if (at === shape.length - 1) return onesided && inverse ? 1 : 2;
      if (axis === undefined) return '';
      if (at !== axis) return d;
      const full: Dim = inputs[1] ? (length ?? '') : d;
      return onesided && !inverse ? half(full) : full;
    });
    return [{ type, shape: result }];
  },
  ...whole,
};

/** Signal [N, length, 1 or 2], step, window, frame length → [N, frames, bins, 2]. */
const stft: Operator = {
  opTypes: ['STFT'],
  infer(context) {
    const { node, inputs } = context;
    const type = inputs[0]?.type ?? 'float32';
    const shape = inputs[0]?.shape;
    if (!shape) return [{ type }];
    const step = scalarOf(context, 1);
    const windowLength = inputs[2]?.shape?.[0];
    const frame = inputs[3] ? scalarOf(context, 3) : typeof windowLength === 'number' ? windowLength : undefined;
    const frames: Dim = typeof shape[1] === 'number' && frame && step ? Math.floor((shape[1] - frame) / step) + 1 : '';
    const bins: Dim = frame ? (attr.int(node, 'onesided', 1) === 1 ? half(frame) : frame) : '';
    return [{ type, shape: [shape[0], frames, bins, 2] }];
  },
  ...whole,
};

const windowFunction = (opType: string): Operator => ({
  opTypes: [opType],
  infer: (context): ValueType[] => [
    { type: dataTypeOf(attr.int(context.node, 'output_datatype', 1)) ?? 'float32', shape: [scalarOf(context, 0) ?? ''] },
  ],
  noGradient: 'is made from a length alone',
  channels() {},
});

const melWeights: Operator = {
  opTypes: ['MelWeightMatrix'],
  infer: (context): ValueType[] => {
    const length = scalarOf(context, 1);
    return [
      {
        type: dataTypeOf(attr.int(context.node, 'output_datatype', 1)) ?? 'float32',
        shape: [length === undefined ? '' : half(length), scalarOf(context, 0) ?? ''],
      },
    ];
  },
  noGradient: 'is made from lengths alone',
  channels() {},
};

const determinant: Operator = {
  opTypes: ['Det'],
  infer: ({ inputs }): ValueType[] => [{ type: inputs[0]?.type ?? 'float32', shape: inputs[0]?.shape?.slice(0, -2) }],
  ...whole,
};

export const signals: readonly Operator[] = [
  dft,
  stft,
  ...['BlackmanWindow', 'HammingWindow', 'HannWindow'].map(windowFunction),
  melWeights,
  determinant,
];
