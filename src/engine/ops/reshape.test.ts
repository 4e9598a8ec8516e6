import { describe, expect, test } from 'vitest';
import { makeNode } from '../onnx/model';
import { axisBlocks } from './axis-blocks';
import { findOperator } from './registry';
import { checkChannels, wholeNumbers } from './testing/check-channels';
import { checkGradient } from './testing/check-gradient';
import { checkInfer } from './testing/check-infer';

const x = (...shape: number[]) => ({ name: 'X', shape });
const reshape = (from: number[], to: number[]) => ({ opType: 'Reshape', inputs: [x(...from), wholeNumbers('shape', to)] });

describe('shapes and gradients', () => {
  test.each([
    { from: [2, 3, 4], to: [6, 4], symbolic: undefined, expected: undefined },
    { from: [2, 3, 4], to: [0, -1], symbolic: { 0: 'batch' }, expected: ['batch', 12] },
    { from: [2, 3, 4], to: [-1, 12], symbolic: { 0: 'batch' }, expected: ['batch', 12] },
    { from: [2, 3, 4], to: [-1, 3, 2, 2], symbolic: { 0: 'batch' }, expected: ['batch', 3, 2, 2] },
    { from: [2, 3, 4], to: [-1, 4], symbolic: { 0: 'batch' }, expected: ['', 4] },
    { from: [2, 3, 4], to: [2, -1], symbolic: { 0: 'batch' }, expected: [2, ''] },
    { from: [1, 3], to: [3], symbolic: undefined, expected: undefined },
  ])('Reshape $from to $to', async ({ from, to, symbolic, expected }) => {
    await checkGradient(reshape(from, to));
    await checkInfer({ ...reshape(from, to), symbolic: symbolic && { X: symbolic }, expected: expected && [expected] });
  });

  test.each([
    [[2, 3, 4], undefined, ['batch', 12]],
    [[2, 3, 4], 2, ['', 4]],
    [[2, 3, 4], -1, ['', 4]],
    [[2, 3, 4], 0, [1, '']],
    [[2, 3, 4], 3, ['', 1]],
  ])('Flatten %j at axis %s', async (shape, axis, expected) => {
    const node = { opType: 'Flatten', inputs: [x(...shape)], attributes: { axis } };
    await checkGradient(node);
    await checkInfer({ ...node, symbolic: { X: { 0: 'batch' } }, expected: [expected] });
  });

  test('Squeeze and Unsqueeze, axes as input and as attribute', async () => {
    await checkGradient({ opType: 'Squeeze', inputs: [x(2, 1, 3, 1), wholeNumbers('axes', [-1, 1])] });
    await checkInfer({ opType: 'Squeeze', inputs: [x(2, 1, 3, 1)] });
    await checkInfer({ opType: 'Squeeze', inputs: [x(2, 1, 3, 1)], attributes: { axes: [1] }, opset: 11 });
    await checkGradient({ opType: 'Unsqueeze', inputs: [x(2, 3), wholeNumbers('axes', [0, -1])] });
    await checkInfer({
      opType: 'Unsqueeze',
      inputs: [x(2, 3)],
      attributes: { axes: [1] },
      opset: 11,
      symbolic: { X: { 0: 'n' } },
      expected: [['n', 1, 3]],
    });
  });

  test('what cannot be is refused', async () => {
    await expect(checkInfer(reshape([2, 3], [4, 2]))).rejects.toThrow('a value of shape [2, 3] cannot take the shape [4, 2]');
    await expect(checkInfer(reshape([2, 3], [-1, 4]))).rejects.toThrow(/cannot take/);
    await expect(checkInfer(reshape([2, 3], [-1, -1]))).rejects.toThrow(/two lengths open/);
    await expect(checkInfer({ opType: 'Squeeze', inputs: [x(2, 3), wholeNumbers('axes', [1])] })).rejects.toThrow(/length is 3/);
  });

  test('the rank follows where the target is computed', () => {
    const node = makeNode('Reshape', ['X', 'shape'], ['Y']);
    const inputs = [
      { type: 'float32' as const, shape: ['n', 3] },
      { type: 'int64' as const, shape: [3] },
    ];
    expect(findOperator('Reshape')!.infer({ node, opset: 17, inputs })[0].shape).toEqual(['', '', '']);
  });
});

test('blocks of axes', () => {
  expect(axisBlocks([2, 3, 4], [2, 12])).toEqual([
    { from: [0], to: [0] },
    { from: [1, 2], to: [1] },
  ]);
  expect(axisBlocks(['n', 6], ['n', 2, 3])).toEqual([
    { from: [0], to: [0] },
    { from: [1], to: [1, 2] },
  ]);
  expect(axisBlocks(['', 6], ['', 2, 3])).toHaveLength(2);
  expect(axisBlocks(['n', 6], ['', 4])).toEqual([{ from: [0, 1], to: [0, 1] }]);
  expect(axisBlocks(['n', 5, 6], ['', 6])).toEqual([
    { from: [0, 1], to: [0] },
    { from: [2], to: [1] },
  ]);
  expect(axisBlocks([2, '', 12], [2, 3, '', 4, 3])).toEqual([
    { from: [0], to: [0] },
    { from: [1], to: [1, 2] },
    { from: [2], to: [3, 4] },
  ]);
  expect(axisBlocks([6], [4])).toBeUndefined();
});

describe('channels', () => {
  test('flattened maps: each channel is as many features as it has pixels', async () => {
    const flat = await checkChannels({ opType: 'Flatten', inputs: [x(2, 3, 2, 2)], carry: { X: [1] }, remove: [1] });
    expect(flat.outputs[0][1]).toEqual([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]);
    await checkChannels({ ...reshape([2, 3, 2, 2], [2, 12]), carry: { X: [1] }, remove: [0, 2] });
    await checkChannels({ ...reshape([2, 3, 2, 2], [0, -1]), carry: { X: [1] }, remove: [0] });
    await checkChannels({ ...reshape([2, 3, 2, 2], [-1, 12]), carry: { X: [1] }, remove: [0] });
  });

  test('channels last: each channel returns once per pixel', async () => {
    const flat = await checkChannels({ ...reshape([2, 2, 2, 3], [2, 12]), carry: { X: [3] }, remove: [1] });
    expect(flat.outputs[0][1]).toEqual([0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2]);
  });

  test('merged spatial axes leave channels as they are', async () => {
    await checkChannels({ ...reshape([2, 3, 2, 2], [2, 3, 4]), carry: { X: [1] }, remove: [1] });
    await checkChannels({ ...reshape([2, 3, 2, 2], [2, 3, -1]), carry: { X: [1] }, remove: [1] });
  });

  test('channels of images split into groups fall together where they lie at one place of the longer axis', async () => {
    const split = await checkChannels({ ...reshape([2, 6, 2, 2], [2, 2, 3, 2, 2]), carry: { X: [1] }, remove: [1] });
    expect(split.outputs[0]).toEqual([null, null, [0, 1, 2], null, null]);
    await checkChannels({ ...reshape([2, 6, 2, 2], [-1, 3, 2, 2, 2]), carry: { X: [1] }, remove: [4] });
  });

  test('features split into heads lose whole heads, in each of the parts in front of them', async () => {
    const heads = await checkChannels({ ...reshape([2, 5, 8], [2, 5, 4, 2]), carry: { X: [2] }, remove: [3] });
    expect(heads.outputs[0]).toEqual([null, null, [0, 2, 4, 6], null]);
    const parts = await checkChannels({ ...reshape([2, 5, 24], [-1, 5, 3, 4, 2]), carry: { X: [2] }, remove: [3] });
    expect(parts.outputs[0]).toEqual([null, null, null, [0, 2, 4, 6], null]);
  });

  test('an axis of unknown length beside the others does not matter', async () => {
    const rows = { ...reshape([2, 5, 6], [-1, 6]), symbolic: { X: { 0: 'batch' } } };
    expect((await checkChannels({ ...rows, carry: { X: [2] }, remove: [1] })).outputs[0][1]).toEqual([0, 1, 2, 3, 4, 5]);
  });

  test('features made into maps lose whole maps', async () => {
    const split = await checkChannels({ ...reshape([2, 12], [2, 3, 2, 2]), carry: { X: [1] }, remove: [4] });
    expect(split.outputs[0]).toEqual([null, [0, 4, 8], null, null]);
  });

  test('mixed and two-fold channels are frozen', async () => {
    expect((await checkChannels({ ...reshape([6, 4], [8, 3]), carry: { X: [1] } })).reasons[0]).toMatch(/mixes channels/);
    expect((await checkChannels({ ...reshape([2, 3, 4], [2, 12]), carry: { X: [1, 2] } })).reasons[0]).toMatch(/two axes of channels/);
  });

  test('a bias brought into shape keeps its channels', async () => {
    const bias = { opType: 'Reshape', inputs: [{ name: 'bias', shape: [3], constant: true }, wholeNumbers('shape', [1, 3, 1, 1])] };
    expect((await checkChannels({ ...bias, carry: {} })).outputs[0]).toEqual([null, [0, 1, 2], null, null]);
  });

  test('Squeeze and Unsqueeze move channels', async () => {
    await checkChannels({ opType: 'Squeeze', inputs: [x(2, 3, 1, 1), wholeNumbers('axes', [2, 3])], carry: { X: [1] }, remove: [1] });
    await checkChannels({ opType: 'Unsqueeze', inputs: [x(2, 3), wholeNumbers('axes', [0, 3])], carry: { X: [1] }, remove: [1] });
  });

  test('Transpose', async () => {
    const node = { opType: 'Transpose', inputs: [x(2, 3, 4, 5)], attributes: { perm: [0, 2, 3, 1] } };
    await checkGradient(node);
    await checkInfer({ ...node, symbolic: { X: { 0: 'batch' } }, expected: [['batch', 4, 5, 3]] });
    await checkChannels({ ...node, carry: { X: [1] }, remove: [1] });
    await checkGradient({ opType: 'Transpose', inputs: [x(2, 3, 4)] });
    await expect(checkInfer({ ...node, attributes: { perm: [0, 1] } })).rejects.toThrow(/does not order 4 axes/);
    const [y] = await checkInfer({ opType: 'Transpose', inputs: [{ ...x(2, 3), data: [1, 2, 3, 4, 5, 6], type: 'int64' }] });
    expect(y.value?.numbers()).toEqual([1, 4, 2, 5, 3, 6]);
  });
});
