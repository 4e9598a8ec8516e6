import { expect, test } from 'vitest';
import { checkChannels, wholeNumbers } from './testing/check-channels';
import { checkGradient } from './testing/check-gradient';
import { checkInfer } from './testing/check-infer';

const x = (...shape: number[]) => ({ name: 'X', shape });
const withInts = (opType: string, shape: number[], values: number[]) => ({ opType, inputs: [x(...shape), wholeNumbers('ints', values)] });

test.each([
  [
    [2, 1, 3],
    [2, 4, 3],
  ],
  [[3], [2, 1]],
  [
    [2, 3],
    [1, 1],
  ],
  [[1], [2, 2, 2]],
])('Expand %j to %j', async (shape, target) => {
  await checkInfer(withInts('Expand', shape, target));
  await checkGradient(withInts('Expand', shape, target));
});

test('channels of Expand', async () => {
  await checkChannels({ ...withInts('Expand', [2, 3, 1], [2, 3, 4]), carry: { X: [1] }, remove: [1] });
  await checkChannels({ ...withInts('Expand', [3, 1], [2, 3, 4]), carry: { X: [0] }, remove: [0] });
  expect((await checkChannels({ ...withInts('Expand', [2, 1], [2, 3]), carry: { X: [1] } })).reasons[0]).toMatch(/repeats this single/);
});

test.each([
  [
    [2, 3],
    [1, 2],
  ],
  [
    [2, 3],
    [3, 1],
  ],
  [
    [2, 1, 2],
    [2, 3, 2],
  ],
])('Tile %j by %j', async (shape, repeats) => {
  const node = withInts('Tile', shape, repeats);
  await checkInfer(node);
  await checkGradient(node);
  await checkChannels({ ...node, carry: { X: [0] }, remove: [1] });
});

test('Tile refuses repeats for another number of axes', async () => {
  await expect(checkInfer(withInts('Tile', [2, 3], [2]))).rejects.toThrow(/1 repeats for 2 axes/);
});

test('Where: gradient of both sides, channels, folding', async () => {
  const condition = { name: 'C', shape: [2, 1, 3], data: [1, 0, 1, 0, 0, 1], type: 'bool' as const };
  const node = { opType: 'Where', inputs: [condition, x(2, 4, 3), { name: 'Y', shape: [4, 1] }] };
  await checkInfer({ ...node, symbolic: { X: { 1: 'n' } }, expected: [[2, 4, 3]] });
  await checkGradient(node);
  await checkChannels({ ...node, carry: { X: [1], Y: [0] }, remove: [2] });
  const ints = (name: string, data: number[]) => ({ name, shape: [2], data, type: 'int64' as const });
  const [y] = await checkInfer({
    opType: 'Where',
    inputs: [{ name: 'C', shape: [2], data: [1, 0], type: 'bool' }, ints('A', [5, 6]), ints('B', [7, 8])],
  });
  expect(y.value?.numbers()).toEqual([5, 8]);
});
