import { expect, test } from 'vitest';
import { UserError } from '../errors';
import { makeNode } from '../onnx/model';
import { convTranspose } from './conv-transpose';
import { checkChannels } from './testing/check-channels';
import { checkInfer } from './testing/check-infer';

const caseOf = (x: number[], w: number[], attributes: Record<string, number | number[] | string> = {}) => ({
  opType: 'ConvTranspose',
  attributes,
  inputs: [
    { name: 'X', shape: x },
    { name: 'W', shape: w, constant: true },
    { name: 'B', shape: [w[1] * Number(attributes['group'] ?? 1)], constant: true },
  ],
});

test.each<Record<string, number | number[] | string>>([
  {},
  { strides: [2, 3], pads: [1, 0, 0, 2], output_padding: [1, 0] },
  { dilations: [2, 1], strides: [1, 2] },
  { auto_pad: 'SAME_UPPER', strides: [2, 2] },
  { auto_pad: 'SAME_LOWER', strides: [3, 2] },
  { auto_pad: 'VALID', strides: [2, 2] },
  { output_shape: [10, 9], strides: [2, 2] },
  { group: 2, strides: [2, 1] },
])('%j: the shape is onnxruntime’s', async (attributes) => {
  await checkInfer({
    ...caseOf([2, 4, 5, 4], [4, 3, 3, 3], attributes),
    symbolic: { X: { 0: 'batch' } },
  });
});

test('lengths that are not known stay open', () => {
  const node = makeNode('ConvTranspose', ['X', 'W'], ['Y']);
  const w = { type: 'float32' as const, shape: [4, 3, 2, 2] };
  const [y] = convTranspose.infer({ node, opset: 17, inputs: [{ type: 'float32', shape: ['n', 4, 'h', 6] }, w] });
  expect(y.shape).toEqual(['n', 3, '', 7]);
});

test('what does not belong together is refused', () => {
  const node = makeNode('ConvTranspose', ['X', 'W'], ['Y'], { group: 3 });
  const infer = (x: number[], w: number[]) => () =>
    convTranspose.infer({
      node,
      opset: 17,
      inputs: [
        { type: 'float32', shape: x },
        { type: 'float32', shape: w },
      ],
    });
  expect(infer([1, 6, 4, 4], [4, 2, 3, 3])).toThrow("its input has 6 channels, but its weight 'W' is for 4");
  expect(infer([1, 4, 4, 4], [4, 2, 3, 3])).toThrow('cuts 4 channels into 3 groups');
  expect(infer([1, 4], [4, 2])).toThrow(UserError);
});

/** The weight with the input channels given unread: without them the output must then be the same. */
function unread(test: ReturnType<typeof caseOf>, channels: readonly number[]) {
  const [x, w, bias] = test.inputs;
  const size = w.shape.reduce((a, d) => a * d, 1);
  const row = size / w.shape[0];
  const data = Array.from({ length: size }, (_, i) => (channels.includes(Math.floor(i / row)) ? 0 : ((i * 7) % 11) - 5));
  return { ...test, inputs: [x, { ...w, data }, bias] };
}

test('channels: the input’s are consumed along axis 0 of the weight, the output’s are produced along axis 1', async () => {
  const { outputs, roles } = await checkChannels({
    ...unread(caseOf([2, 4, 3, 3], [4, 5, 2, 2]), [1, 3]),
    carry: { X: [1] },
    remove: [1, 3],
  });
  expect(outputs[0][1]).toHaveLength(5);
  expect(roles).toEqual(['1:0:consumer', '1:1:producer', '2:0:parameter']);
});

test('channels: groups lose the same places', async () => {
  const { outputs } = await checkChannels({
    ...unread(caseOf([2, 6, 3, 3], [6, 2, 2, 2], { group: 2 }), [1, 4]),
    carry: { X: [1] },
    remove: [1],
  });
  const [a, b, ...rest] = outputs[0][1]!;
  expect(rest).toEqual([a, b]);
});

test('channels: a depthwise one takes its outputs along', async () => {
  const depthwise = caseOf([2, 4, 3, 3], [4, 2, 2, 2], { group: 4, strides: [2, 2] });
  const { outputs } = await checkChannels({ ...depthwise, carry: { X: [1] }, remove: [2] });
  const [a, b, c] = outputs[0][1]!;
  expect(b).toBe(a);
  expect(c).not.toBe(a);
});
