import { expect, test } from 'vitest';
import { checkChannels, wholeNumbers } from './testing/check-channels';
import { checkGradient } from './testing/check-gradient';
import { checkInfer } from './testing/check-infer';

const gather = (shape: number[], axis: number, indices: { shape: number[]; data: number[] }) => ({
  opType: 'Gather',
  attributes: { axis },
  inputs: [
    { name: 'X', shape },
    { name: 'I', type: 'int64' as const, ...indices },
  ],
});

test.each([
  gather([4, 3], 0, { shape: [3], data: [2, 0, 2] }),
  gather([2, 4, 3], 1, { shape: [2], data: [3, 1] }),
  gather([2, 4, 3], -1, { shape: [2, 2], data: [0, 1, 2, 0] }),
  gather([2, 4, 3], 1, { shape: [], data: [-1] }),
])('$attributes $inputs: shape and gradient', async (node) => {
  await checkInfer({ ...node, symbolic: { X: { 0: 'n' } } });
  await checkGradient(node);
});

test('the gradient of a shuffle is the shuffle back', async () => {
  const shuffle = { opType: 'Gather', attributes: { axis: 1 }, inputs: [{ name: 'X', shape: [2, 4, 3] }, wholeNumbers('I', [2, 0, 3, 1])] };
  await checkGradient(shuffle);
});

test('channels beside the gathered axis pass, also where it goes', async () => {
  await checkChannels({ ...gather([2, 4, 3], 1, { shape: [], data: [0] }), carry: { X: [2] }, remove: [1] });
  await checkChannels({ ...gather([2, 4, 3], 1, { shape: [2, 2], data: [0, 1, 1, 2] }), carry: { X: [2] }, remove: [1] });
});

test('channels put in another order: the numbers follow', async () => {
  const { outputs } = await checkChannels({ ...gather([2, 4], 1, { shape: [4], data: [2, 0, -1, 1] }), carry: { X: [1] }, remove: [0] });
  expect(outputs[0][1]).toEqual([2, 0, 3, 1]);
});

test('single channels taken by number are frozen', async () => {
  const { reasons } = await checkChannels({ ...gather([2, 4], 1, { shape: [], data: [1] }), carry: { X: [1] } });
  expect(reasons[0]).toMatch(/takes single channels by number/);
});

test('rows of an embedding make channels', async () => {
  const node = { opType: 'Gather', inputs: [{ name: 'W', shape: [5, 3], constant: true }, wholeNumbers('I', [1, 4])] };
  const { roles, outputs } = await checkChannels({ ...node, carry: {} });
  expect(roles).toEqual(['0:1:producer']);
  expect(outputs[0][1]).toHaveLength(3);
});

test('a position that is not there is refused', async () => {
  await expect(checkInfer(gather([4, 3], 0, { shape: [1], data: [4] }))).rejects.toThrow(/takes position 4 of an axis of length 4/);
});
