import { expect, test } from 'vitest';
import { makeNode } from '../onnx/model';
import { findOperator } from './registry';
import { checkChannels, wholeNumbers } from './testing/check-channels';
import { checkGradient } from './testing/check-gradient';
import { checkInfer } from './testing/check-infer';

const x = { name: 'X', shape: [2, 4, 3, 3] };
const scales = (...data: number[]) => ({ name: 'scales', shape: [data.length], data, constant: true });

test.each([{ attributes: {} }, { attributes: { coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' } }])(
  'nearest by whole factors %j: shape, gradient, channels',
  async ({ attributes }) => {
    const node = { opType: 'Resize', attributes, inputs: [x, undefined, scales(1, 1, 3, 2)] };
    await checkInfer({ ...node, symbolic: { X: { 0: 'n' } }, expected: [['n', 4, 9, 6]] });
    await checkGradient(node);
    await checkChannels({ ...node, carry: { X: [1] }, remove: [1] });
  },
);

test('linear has a shape and a gradient; smoothed (antialias) it has a shape alone', async () => {
  const node = { opType: 'Resize', attributes: { mode: 'linear' }, inputs: [x, undefined, scales(1, 1, 1.7, 0.5)] };
  await checkInfer(node);
  await checkGradient(node);
  const smoothed = { ...node, opset: 18, attributes: { mode: 'linear', antialias: 1 } };
  await checkInfer(smoothed);
  await expect(checkGradient(smoothed)).rejects.toThrow(/smooths them \(antialias\)/);
});

test('sizes follow the channels that stay', async () => {
  const node = { opType: 'Resize', inputs: [x, undefined, undefined, wholeNumbers('sizes', [2, 4, 5, 6])] };
  await checkInfer(node);
  await checkChannels({ ...node, carry: { X: [1] }, remove: [0, 3] });
});

test('axes by name (set 18), older forms', async () => {
  await checkInfer({ opType: 'Resize', opset: 18, attributes: { axes: [2, 3] }, inputs: [x, undefined, scales(2, 2)] });
  await checkInfer({
    opType: 'Resize',
    opset: 18,
    attributes: { axes: [2, 3], keep_aspect_ratio_policy: 'not_larger' },
    inputs: [x, undefined, undefined, wholeNumbers('sizes', [7, 9])],
  });
  await checkInfer({ opType: 'Resize', opset: 10, inputs: [x, scales(1, 1, 2, 2)] });
  await checkInfer({ opType: 'Upsample', opset: 9, inputs: [x, scales(1, 1, 2, 2)] });
  await checkInfer({ opType: 'Upsample', opset: 8, attributes: { scales: Float32Array.of(1, 1, 2, 3) }, inputs: [x] });
});

test('resized channels are frozen', async () => {
  const node = { opType: 'Resize', inputs: [x, undefined, scales(1, 2, 1, 1)] };
  expect((await checkChannels({ ...node, carry: { X: [1] } })).reasons[0]).toMatch(/interpolates/);
});

test.each([{ mode: 'DCR' }, { mode: 'CRD' }])('DepthToSpace %j', async ({ mode }) => {
  const node = { opType: 'DepthToSpace', attributes: { blocksize: 2, mode }, inputs: [{ name: 'X', shape: [2, 8, 2, 3] }] };
  await checkInfer({ ...node, symbolic: { X: { 0: 'n' } }, expected: [['n', 2, 4, 6]] });
  await checkGradient(node);
  expect((await checkChannels({ ...node, carry: { X: [1] } })).reasons[0]).toMatch(/places of the image/);
});

test('SpaceToDepth', async () => {
  const node = { opType: 'SpaceToDepth', attributes: { blocksize: 2 }, inputs: [{ name: 'X', shape: [2, 3, 4, 6] }] };
  await checkInfer({ ...node, symbolic: { X: { 0: 'n' } }, expected: [['n', 12, 2, 3]] });
  await checkGradient(node);
});

test('a length that the block size does not divide is refused', () => {
  const node = makeNode('DepthToSpace', ['X'], ['Y'], { blocksize: 2 });
  expect(() => findOperator('DepthToSpace')!.infer({ node, opset: 17, inputs: [{ type: 'float32', shape: [1, 6, 2, 2] }] })).toThrow(
    /length 6 into blocks of 4/,
  );
});
