import { expect, test } from 'vitest';
import { checkChannels, wholeNumbers } from './testing/check-channels';
import { checkGradient } from './testing/check-gradient';
import { checkInfer } from './testing/check-infer';

const shape = [2, 3, 2, 2];
// No two equal, and none near zero: extremes and norms are then smooth.
const data = Array.from({ length: 24 }, (_, i) => (((i * 7) % 24) - 11.5) / 4);
const x = { name: 'X', shape, data };
const types = ['ReduceMean', 'ReduceMax', 'ReduceMin', 'ReduceSumSquare', 'ReduceL1', 'ReduceL2', 'ReduceLogSumExp'];

for (const opType of types)
  test.each([{ axes: [2, 3] }, { axes: [-1], keepdims: 0 }, { axes: [1, 3], keepdims: 0 }, {}, { keepdims: 0 }])(
    `${opType} %j: shape and gradient`,
    async (attributes) => {
      await checkInfer({ opType, inputs: [x], attributes });
      await checkGradient({ opType, inputs: [x], attributes });
    },
  );

test.each([
  { inputs: [x, wholeNumbers('axes', [1, -1])], attributes: {} },
  { inputs: [x, wholeNumbers('axes', [0])], attributes: { keepdims: 0 } },
  { inputs: [x], attributes: {} },
  { inputs: [x], attributes: { noop_with_empty_axes: 1 } },
])('ReduceSum %j', async (form) => {
  await checkInfer({ opType: 'ReduceSum', ...form });
  await checkGradient({ opType: 'ReduceSum', ...form });
});

test('axes as an input from set 18, named lengths', async () => {
  const inputs = [x, wholeNumbers('axes', [2, 3])];
  for (const opType of [...types, 'ReduceProd'])
    await checkInfer({ opType, opset: 18, inputs, symbolic: { X: { 0: 'n' } }, expected: [['n', 3, 1, 1]] });
  await checkInfer({ opType: 'ReduceSum', opset: 11, inputs: [x], attributes: { axes: [1] } });
});

test('ArgMax', async () => {
  await checkInfer({ opType: 'ArgMax', inputs: [x], attributes: { axis: 1, keepdims: 0 } });
  await checkInfer({ opType: 'ArgMax', inputs: [x] });
  expect((await checkChannels({ opType: 'ArgMax', inputs: [x], attributes: { axis: 1 }, carry: { X: [1] } })).reasons).toHaveLength(1);
});

test('equal extremes share the gradient', async () => {
  const { gradients } = await checkGradient({
    opType: 'ReduceMax',
    inputs: [{ name: 'X', shape: [1, 3], data: [2, 2, 0] }],
    attributes: { axes: [1] },
    probes: 0,
  });
  const [a, c, rest] = gradients.get('X')!;
  expect(a).not.toBe(0);
  expect([c, rest]).toEqual([a, 0]);
});

test('channels pass a spatial mean, and are frozen where they are reduced', async () => {
  for (const keepdims of [0, 1])
    await checkChannels({ opType: 'ReduceMean', inputs: [x], attributes: { axes: [2, 3], keepdims }, carry: { X: [1] }, remove: [1] });
  await checkChannels({ opType: 'ReduceMean', inputs: [x], attributes: { axes: [0], keepdims: 0 }, carry: { X: [1] }, remove: [1] });
  const { reasons } = await checkChannels({ opType: 'ReduceMean', inputs: [x], attributes: { axes: [1] }, carry: { X: [1] } });
  expect(reasons[0]).toMatch(/ReduceMean 'output_0' reduces them to one value/);
});

test('an axis that is not there', async () => {
  await expect(checkInfer({ opType: 'ReduceMean', inputs: [x], attributes: { axes: [4] } })).rejects.toThrow(/axis 4 is outside/);
});
