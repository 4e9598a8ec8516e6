import { expect, test } from 'vitest';
import { checkChannels, wholeNumbers } from './testing/check-channels';
import { checkGradient } from './testing/check-gradient';
import { checkInfer } from './testing/check-infer';

const HUGE = Number.MAX_SAFE_INTEGER;
const slice = (shape: number[], starts: number[], ends: number[], axes?: number[], steps?: number[]) => ({
  opType: 'Slice',
  inputs: [
    { name: 'X', shape },
    wholeNumbers('starts', starts),
    wholeNumbers('ends', ends),
    ...(axes ? [wholeNumbers('axes', axes)] : []),
    ...(steps ? [wholeNumbers('steps', steps)] : []),
  ],
});

const cases = [
  slice([3, 7], [1], [5], [1]),
  slice([3, 7], [1, 2], [HUGE, -1]),
  slice([3, 7], [-3], [HUGE], [-1]),
  slice([3, 7], [0], [HUGE], [1], [2]),
  slice([3, 7], [1], [6], [1], [3]),
  slice([3, 7], [-1], [-HUGE], [1], [-1]),
  slice([3, 7], [5], [1], [1], [-2]),
  slice([3, 7], [10], [-HUGE], [1], [-3]),
  slice([2, 4, 5], [0, 1], [1, 4], [0, 2], [1, 2]),
];

test.each(cases)('$inputs: shape and gradient', async (node) => {
  await checkInfer(node);
  await checkGradient(node);
});

test.each([
  [slice([2, 6], [1], [4], [1]), [0, 2, 5]],
  [slice([2, 6], [2], [HUGE], [1]), [0, 3]],
  [slice([2, 6], [-4], [-1], [1]), [1, 2]],
  [slice([2, 6], [-1], [-HUGE], [1], [-1]), [0, 2]],
  [slice([2, 6], [4], [0], [1], [-1]), [0, 3]],
  [slice([2, 6], [4], [1], [1], [-1]), [0, 1, 5]],
  [slice([2, 6, 3], [1], [2], [2]), [4]],
])('channels of %j without %j', async (node, remove) => {
  expect((await checkChannels({ ...node, carry: { X: [1] }, remove })).reasons).toEqual([]);
});

test('a range given by attributes, and its channels', async () => {
  const node = { opType: 'Slice', opset: 9, inputs: [{ name: 'X', shape: [2, 6] }], attributes: { starts: [2], ends: [5], axes: [1] } };
  await checkInfer(node);
  await checkChannels({ ...node, carry: { X: [1] }, remove: [0, 3] });
});

test('every second channel is frozen', async () => {
  const { reasons } = await checkChannels({ ...slice([2, 6], [0], [HUGE], [1], [2]), carry: { X: [1] } });
  expect(reasons).toEqual(["Slice 'output_0' takes only one in 2 of them"]);
});

test('named lengths', async () => {
  await checkInfer({ ...slice([2, 6], [1], [4], [1]), symbolic: { X: { 0: 'n' } }, expected: [['n', 3]] });
  await checkInfer({ ...slice([2, 6], [0], [HUGE], [0]), symbolic: { X: { 0: 'n' } }, expected: [['n', 6]] });
  await checkInfer({ ...slice([2, 6], [1], [HUGE], [0]), symbolic: { X: { 0: 'n' } }, expected: [['', 6]] });
});

test('constants are folded', async () => {
  const x = { name: 'X', shape: [2, 3], data: [1, 2, 3, 4, 5, 6], type: 'int64' as const };
  const [y] = await checkInfer({
    opType: 'Slice',
    inputs: [x, wholeNumbers('s', [-1]), wholeNumbers('e', [-HUGE]), wholeNumbers('a', [1]), wholeNumbers('p', [-2])],
  });
  expect(y.value?.numbers()).toEqual([3, 1, 6, 4]);
});
