import { expect, test } from 'vitest';
import { checkChannels } from './testing/check-channels';
import { checkGradient } from './testing/check-gradient';
import { checkInfer } from './testing/check-infer';

const inputs = [{ name: 'X', shape: [2, 3, 4] }];

for (const opType of ['Softmax', 'LogSoftmax'])
  test.each([
    { opset: 17 },
    { opset: 17, attributes: { axis: 1 } },
    { opset: 17, attributes: { axis: 0 } },
    { opset: 12 },
    { opset: 12, attributes: { axis: 2 } },
  ])(`${opType} %j: gradient and shape`, async (form) => {
    await checkInfer({ opType, inputs, ...form, symbolic: { X: { 0: 'batch' } }, expected: [['batch', 3, 4]] });
    // ReduceSum takes its axes as an input from set 13 on, so the gradient is emitted for training graphs only.
    if (form.opset >= 13) await checkGradient({ opType, inputs, ...form });
  });

test('channels on the axis that sums to one are frozen, others pass', async () => {
  const own = await checkChannels({ opType: 'Softmax', inputs, attributes: { axis: 1 }, carry: { X: [1] } });
  expect(own.reasons[0]).toMatch(/Softmax 'output_0' needs all of them/);
  const other = await checkChannels({ opType: 'Softmax', inputs, carry: { X: [1] }, remove: [0] });
  expect(other.reasons).toEqual([]);
  const matrix = await checkChannels({ opType: 'Softmax', inputs, opset: 12, carry: { X: [2] } });
  expect(matrix.reasons).toHaveLength(1);
});
