import { expect, test } from 'vitest';
import { checkChannels } from './testing/check-channels';
import { checkGradient } from './testing/check-gradient';
import { checkInfer } from './testing/check-infer';

const positive = (n: number) => Array.from({ length: n }, (_, i) => 0.5 + ((i * 7) % 11) / 6);
const input = (name: string, shape: number[], more: object = {}) => ({ name, shape, ...more });

/** Shapes that are stretched to one another, and what comes out. */
const pairs = [
  [
    [2, 3, 4],
    [2, 3, 4],
  ],
  [
    [2, 3, 4],
    [3, 1],
  ],
  [
    [2, 1, 4],
    [3, 1],
  ],
  [[4], [2, 3, 4]],
  [[2, 3], []],
  [[1, 3], [1]],
];

for (const opType of ['Add', 'Sub', 'Mul', 'Div', 'Pow', 'Min', 'Max'])
  test.each(pairs)(`${opType} of %j and %j: shape and gradient`, async (a, c) => {
    const count = (s: number[]) => s.reduce((x, y) => x * y, 1);
    const inputs = [input('A', a, { data: positive(count(a)) }), input('B', c, { data: positive(count(c)).map((v) => v + 0.11) })];
    await checkInfer({ opType, inputs });
    await checkGradient({ opType, inputs });
  });

test('Pow with a constant exponent, also of negative values', async () => {
  await checkGradient({ opType: 'Pow', inputs: [input('A', [5]), input('B', [], { data: [2], constant: true })] });
  await checkGradient({ opType: 'Pow', inputs: [input('A', [5]), input('B', [], { data: [3], type: 'int64' })] });
});

test('Sum of three, PRelu', async () => {
  await checkGradient({ opType: 'Sum', inputs: [input('A', [2, 3]), input('B', [3]), input('C', [2, 1])] });
  const data = [-2, -1, -0.5, 0.5, 1, 2];
  await checkGradient({ opType: 'PRelu', inputs: [input('X', [2, 3], { data }), input('slope', [3])] });
});

test('named lengths pass; contradicting lengths are refused', async () => {
  const inputs = [input('A', [2, 3, 4]), input('B', [3, 1])];
  await checkInfer({ opType: 'Add', inputs, symbolic: { A: { 0: 'batch' } }, expected: [['batch', 3, 4]] });
  await checkInfer({ opType: 'Add', inputs, symbolic: { A: { 1: 'n' } }, expected: [[2, 3, 4]] });
  await expect(checkInfer({ opType: 'Add', inputs: [input('A', [2, 3]), input('B', [4])] })).rejects.toThrow(/do not fit together/);
});

test.each(['Equal', 'Greater', 'GreaterOrEqual', 'Less', 'LessOrEqual'])('%s gives booleans', async (opType) => {
  const a = input('A', [3], { data: [1, 2, 3], type: 'int64' });
  const [y] = await checkInfer({ opType, inputs: [a, input('B', [], { data: [2], type: 'int64' })] });
  const js = { Equal: [0, 1, 0], Greater: [0, 0, 1], GreaterOrEqual: [0, 1, 1], Less: [1, 0, 0], LessOrEqual: [1, 1, 0] }[opType];
  expect(y.value?.numbers()).toEqual(js);
});

test('whole numbers are divided toward zero', async () => {
  const ints = (name: string, data: number[]) => input(name, [data.length], { data, type: 'int64' });
  const [y] = await checkInfer({ opType: 'Div', inputs: [ints('A', [7, -7]), ints('B', [2, 2])] });
  expect(y.value?.numbers()).toEqual([3, -3]);
});

test('channels: both inputs lose the same', async () => {
  const { outputs } = await checkChannels({
    opType: 'Add',
    inputs: [input('A', [2, 4, 3]), input('B', [2, 4, 3])],
    carry: { A: [1], B: [1] },
    remove: [1, 2],
  });
  expect(outputs[0]).toEqual([null, [0, 1, 2, 3], null]);
});

test('channels: a gate of one pixel, a parameter per channel, a scalar', async () => {
  await checkChannels({
    opType: 'Mul',
    inputs: [input('A', [2, 4, 3, 3]), input('B', [2, 4, 1, 1])],
    carry: { A: [1], B: [1] },
    remove: [0],
  });
  const scale = await checkChannels({
    opType: 'Mul',
    inputs: [input('A', [2, 4, 3]), input('S', [4, 1], { constant: true })],
    carry: { A: [1] },
    remove: [3],
  });
  expect(scale.roles).toEqual(['1:0:parameter']);
  await checkChannels({ opType: 'Mul', inputs: [input('S', [], { constant: true }), input('A', [2, 4])], carry: { A: [1] }, remove: [0] });
});

test('channels: a spatial gate of one channel carries nothing', async () => {
  const { outputs, reasons } = await checkChannels({
    opType: 'Mul',
    inputs: [input('A', [2, 4, 3]), input('B', [2, 1, 3])],
    carry: { A: [1], B: [1] },
    remove: [2],
  });
  expect(outputs[0][1]).toHaveLength(4);
  expect(reasons).toEqual([]);
});

test('channels: frozen beside a value without channels', async () => {
  const test = { opType: 'Add', inputs: [input('A', [2, 4]), input('B', [2, 4])], carry: { A: [1] } };
  expect((await checkChannels(test)).reasons[0]).toMatch(/Add 'output_0' combines them/);
  await expect(checkChannels({ ...test, remove: [0] })).rejects.toThrow(/frozen/);
});
