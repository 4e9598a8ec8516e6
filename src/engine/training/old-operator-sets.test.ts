/** Nodes of operator sets from 7 on: their shapes in their own set, and their gradients as training graphs carry them over. */
import { describe, expect, test } from 'vitest';
import { checkGradient } from '../ops/testing/check-gradient';
import { checkInfer } from '../ops/testing/check-infer';
import { type InputCase, type NodeCase, placeInputs, tensorFeeds, withSession } from '../ops/testing/single-node';
import { carryOver } from './operator-set';

const x = (...shape: number[]): InputCase => ({ name: 'X', shape });
const whole = (name: string, ...data: number[]): InputCase => ({ name, shape: [data.length], data, type: 'int64' });
const floats = (name: string, ...data: number[]): InputCase => ({ name, shape: [data.length], data, constant: true });
const scalar = (name: string, value: number): InputCase => ({ name, shape: [], data: [value], constant: true });

interface Row extends NodeCase {
  readonly opset: number;
  /** Positions of whole numbers, steps of other kinds: nothing to differentiate in the forms below. */
  readonly noGradient?: true;
}
const row = (opset: number, opType: string, inputs: NodeCase['inputs'], more: Partial<Row> = {}): Row => ({
  opset,
  opType,
  inputs,
  ...more,
});

/** Each form of what was an attribute and became an input, or got another meaning, in the first set that has it and the last. */
const rows: readonly Row[] = [
  ...[7, 12].map((opset) => row(opset, 'Squeeze', [x(2, 1, 3, 1)], { attributes: { axes: [1] } })),
  row(7, 'Squeeze', [x(2, 1, 3, 1)]),
  row(11, 'Squeeze', [x(2, 1, 3, 1)], { attributes: { axes: [-1] } }),
  ...[13, 17].map((opset) => row(opset, 'Squeeze', [x(2, 1, 3), whole('axes', 1)])),
  ...[7, 12].map((opset) => row(opset, 'Unsqueeze', [x(2, 3)], { attributes: { axes: [0, 3] } })),
  row(13, 'Unsqueeze', [x(2, 3), whole('axes', -1)]),
  ...[7, 12].map((opset) => row(opset, 'Split', [x(2, 6)], { outputs: 2, attributes: { axis: 1, split: [2, 4] } })),
  row(7, 'Split', [x(2, 6)], { outputs: 3, attributes: { axis: 1 } }),
  row(13, 'Split', [x(2, 6), whole('split', 1, 5)], { outputs: 2, attributes: { axis: -1 } }),
  ...[7, 9].map((opset) => row(opset, 'Slice', [x(4, 5)], { attributes: { starts: [1, -3], ends: [4, 1000], axes: [0, 1] } })),
  ...[10, 13].map((opset) => row(opset, 'Slice', [x(4, 5), whole('starts', 1), whole('ends', 5), whole('axes', 1), whole('steps', 2)])),
  ...[7, 10].map((opset) => row(opset, 'Pad', [x(2, 3)], { attributes: { pads: [0, 1, 0, 2], value: { float: 0.5 } } })),
  ...['reflect', 'edge'].map((mode) => row(10, 'Pad', [x(2, 3)], { attributes: { pads: [0, 1, 0, 2], mode } })),
  ...[11, 13].map((opset) => row(opset, 'Pad', [x(2, 3), whole('pads', 0, 1, 0, 2), scalar('value', 0.5)])),
  ...[7, 10].map((opset) => row(opset, 'Clip', [x(3, 4)], { attributes: { min: { float: -0.55 }, max: { float: 0.45 } } })),
  row(7, 'Clip', [x(3, 4)], { attributes: { min: { float: -0.55 } } }),
  ...[11, 13].map((opset) => row(opset, 'Clip', [x(3, 4), scalar('min', -0.55), scalar('max', 0.45)])),
  ...[7, 12].map((opset) => row(opset, 'ReduceSum', [x(2, 3, 4)], { attributes: { axes: [0, 2], keepdims: 0 } })),
  row(13, 'ReduceSum', [x(2, 3, 4), whole('axes', -1)]),
  ...['ReduceMean', 'ReduceMax', 'ReduceL2', 'ReduceLogSumExp'].flatMap((opType) => [
    row(7, opType, [x(2, 3, 4)], { attributes: { axes: [1] } }),
    row(13, opType, [x(2, 3, 4)], { attributes: { axes: [-1] } }),
  ]),
  ...['nearest', 'linear'].flatMap((mode) => [
    row(7, 'Upsample', [x(1, 2, 3, 3)], { attributes: { mode, scales: Float32Array.of(1, 1, 2, 3) } }),
    row(9, 'Upsample', [x(1, 2, 3, 3), floats('scales', 1, 1, 2, 3)], { attributes: { mode } }),
    row(10, 'Resize', [x(1, 2, 3, 3), floats('scales', 1, 1, 2, 3)], { attributes: { mode } }),
    row(10, 'Resize', [x(1, 1, 6, 6), floats('scales', 1, 1, 1, 1.5)], { attributes: { mode } }),
    row(10, 'Resize', [x(1, 1, 7, 7), floats('scales', 1, 1, 0.6, 0.6)], { attributes: { mode } }),
    row(11, 'Resize', [x(1, 2, 3, 3), floats('roi'), floats('scales', 1, 1, 2, 3)], { attributes: { mode } }),
    row(13, 'Resize', [x(1, 2, 3, 3), undefined, undefined, whole('sizes', 1, 2, 5, 4)], { attributes: { mode } }),
  ]),
  ...[7, 9, 10, 12, 13].map((opset) => row(opset, 'Dropout', [x(3, 4)], opset < 12 ? { attributes: { ratio: { float: 0.3 } } } : {})),
  ...[7, 9, 14, 15].map((opset) =>
    row(opset, 'BatchNormalization', [
      x(2, 3, 4, 4),
      floats('s', 1, 2, 3),
      floats('b', 1, 0, 2),
      floats('m', 0, 1, 0.5),
      floats('v', 1, 2, 0.5),
    ]),
  ),
  ...[7, 9].map((opset) => row(opset, 'TopK', [x(3, 5)], { outputs: 2, attributes: { k: 2 } })),
  ...[10, 11].map((opset) => row(opset, 'TopK', [x(3, 5), whole('k', 2)], { outputs: 2 })),
  row(9, 'Scatter', [x(3, 3), { name: 'I', shape: [1, 3], data: [1, 0, 2], type: 'int64' }, { name: 'U', shape: [1, 3] }]),
  row(11, 'ScatterElements', [x(3, 3), { name: 'I', shape: [1, 3], data: [1, 0, 2], type: 'int64' }, { name: 'U', shape: [1, 3] }]),
  ...[7, 11].map((opset) => row(opset, 'Softmax', [x(3, 5)])),
  row(13, 'Softmax', [x(2, 3, 5)]),
  ...[7, 9, 11].map((opset) =>
    row(opset, 'Gemm', [x(2, 3), { name: 'B', shape: [4, 3] }, { name: 'C', shape: [4] }], { attributes: { transB: 1 } }),
  ),
  ...[7, 9, 16].map((opset) => row(opset, 'PRelu', [x(2, 3, 2), { name: 'slope', shape: [3, 1] }])),
  ...[7, 10, 11].map((opset) => row(opset, 'AveragePool', [x(1, 2, 5, 5)], { attributes: { kernel_shape: [3, 3], strides: [2, 2] } })),
  ...[7, 11].map((opset) =>
    row(opset, 'ConvTranspose', [x(1, 3, 4, 4), { name: 'W', shape: [3, 2, 3, 3] }], { attributes: { strides: [2, 2] } }),
  ),
  ...[7, 13].map((opset) => row(opset, 'LRN', [x(1, 5, 3, 3)], { attributes: { size: 3 } })),
  ...[7, 11].map((opset) => row(opset, 'Flatten', [x(2, 3, 4)], { attributes: { axis: 2 } })),
  row(7, 'Upsample', [x(1, 2, 3, 3)], { attributes: { scales: Float32Array.of(1, 1, 1.5, 1.5) } }),
  // Sets after 17 are those of their models: nothing is carried over.
  row(18, 'Split', [x(2, 7)], { outputs: 3, attributes: { axis: 1, num_outputs: 3 } }),
  row(18, 'Pad', [x(2, 3, 4), whole('pads', 1, 2), undefined, whole('axes', 1)]),
  row(18, 'Resize', [x(1, 2, 4, 4), undefined, undefined, whole('sizes', 8, 8)], { attributes: { axes: [2, 3], mode: 'linear' } }),
  row(19, 'Resize', [x(1, 2, 4, 6), undefined, undefined, whole('sizes', 8, 8)], {
    attributes: { axes: [2, 3], mode: 'linear', keep_aspect_ratio_policy: 'not_larger' },
  }),
  ...[18, 21].flatMap((opset) => [
    row(opset, 'Squeeze', [x(2, 1, 3), whole('axes', 1)]),
    row(opset, 'Slice', [x(4, 5), whole('starts', 1), whole('ends', 5), whole('axes', 1)]),
    row(opset, 'ReduceSum', [x(2, 3, 4), whole('axes', -1)]),
    row(opset, 'Clip', [x(3, 4), scalar('min', -0.55), scalar('max', 0.45)]),
    row(opset, 'LayerNormalization', [x(2, 3, 4), { name: 's', shape: [4] }]),
    row(opset, 'AveragePool', [x(1, 2, 5, 5)], { attributes: { kernel_shape: [3, 3], strides: [2, 2] } }),
  ]),
];

/** The operator set of training graphs where the model's is not newer. */
const carriedBelow = 17;
const title = ({ opset, opType, attributes }: Row): string => `set ${opset}: ${opType} ${JSON.stringify(attributes ?? {})}`;

describe('shapes in their own operator set', () => {
  test.each(rows.map((r) => [title(r), r] as const))('%s', async (_, r) => void (await checkInfer(r)));
});

describe('carried over into a training graph: the same values, and the gradient of finite differences', () => {
  const carried = rows.filter((r) => r.opset <= carriedBelow);
  test.each(carried.map((r) => [title(r), r] as const))('%s', async (_, r) => {
    const { outputs } = await checkGradient({ ...r, carry: carryOver, step: 0.005, tolerance: 5e-3 });
    const before = await run(r);
    before.forEach((values, i) => {
      expect(outputs[i].length).toBe(values.length);
      for (const [at, v] of values.entries()) expect(Number(outputs[i][at])).toBeCloseTo(v, 4);
    });
  });
});

test('an old Resize that makes one axis longer and another shorter is refused', async () => {
  const mixed = row(10, 'Resize', [x(1, 1, 6, 6), floats('scales', 1, 1, 0.5, 1.5)]);
  await checkInfer(mixed);
  await expect(checkGradient({ ...mixed, carry: carryOver })).rejects.toThrow(/makes one axis longer and another shorter/);
});

/** The float outputs of the node in its own operator set. */
async function run(r: Row): Promise<number[][]> {
  const { b, operator, node, inputs, feeds, constants } = placeInputs(r);
  const types = operator.infer({
    node,
    opset: b.opset,
    inputs: inputs.map((v) => v && { type: v.type, shape: v.shape, value: constants.get(v.name) }),
  });
  for (const v of b.adopt(node, types.slice(0, node.outputs.length))) b.output(v);
  return withSession(b.build(), async (session) => {
    const result = await session.run(tensorFeeds(feeds));
    return node.outputs.map((name) => Array.from(result[name].data as ArrayLike<number | bigint>, Number));
  });
}
