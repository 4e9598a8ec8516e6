import { expect, test } from 'vitest';
import { checkChannels, wholeNumbers } from './testing/check-channels';
import { checkGradient } from './testing/check-gradient';
import { checkInfer } from './testing/check-infer';

const input = (name: string, shape: number[], more: object = {}) => ({ name, shape, ...more });
const concat = { opType: 'Concat', attributes: { axis: 1 }, inputs: [input('A', [2, 3, 2]), input('B', [2, 2, 2]), input('C', [2, 1, 2])] };

test('Concat: gradient, shape, channels', async () => {
  await checkGradient(concat);
  await checkGradient({ ...concat, attributes: { axis: -2 } });
  await checkInfer({ ...concat, symbolic: { A: { 0: 'batch' }, B: { 0: 'batch' }, C: { 0: 'batch' } }, expected: [['batch', 6, 2]] });
  await checkInfer({ ...concat, symbolic: { A: { 1: 'n' } }, expected: [[2, '', 2]] });
  const { outputs } = await checkChannels({ ...concat, carry: { A: [1], B: [1], C: [1] }, remove: [1] });
  expect(outputs[0][1]).toEqual([0, 1, 2, 3, 4, 5]);
});

test('Concat along another axis couples channels', async () => {
  const node = { opType: 'Concat', attributes: { axis: 0 }, inputs: [input('A', [2, 3]), input('B', [1, 3])] };
  const { outputs } = await checkChannels({ ...node, carry: { A: [1], B: [1] }, remove: [1] });
  expect(outputs[0]).toEqual([null, [0, 1, 2]]);
});

test('what is joined to channels but made by no layer stays', async () => {
  const { reasons, outputs } = await checkChannels({ ...concat, carry: { A: [1], C: [1] }, remove: [2] });
  expect(reasons).toEqual(["Concat 'output_0' joins them with 'B', which is not made by a layer"]);
  expect(outputs[0][1]).toHaveLength(6);
});

test('a constant joined to channels takes part', async () => {
  const node = { ...concat, inputs: [concat.inputs[0], input('B', [2, 2, 2], { constant: true })] };
  expect((await checkChannels({ ...node, carry: { A: [1] }, remove: [0] })).roles).toEqual(['1:1:parameter']);
});

test('Concat refuses values that do not fit', async () => {
  await expect(checkInfer({ ...concat, inputs: [input('A', [2, 3]), input('B', [3, 3])] })).rejects.toThrow(/axis 0 has the lengths 2, 3/);
});

const split = { opType: 'Split', attributes: { axis: 1 }, inputs: [input('X', [2, 6, 2]), wholeNumbers('sizes', [1, 3, 2])], outputs: 3 };

test('Split: gradient, shapes, channels, new sizes', async () => {
  await checkGradient(split);
  await checkInfer({
    ...split,
    symbolic: { X: { 0: 'n' } },
    expected: [
      ['n', 1, 2],
      ['n', 3, 2],
      ['n', 2, 2],
    ],
  });
  const { outputs } = await checkChannels({ ...split, carry: { X: [1] }, remove: [2, 4] });
  expect(outputs.map((o) => o[1])).toEqual([[0], [1, 2, 3], [4, 5]]);
});

test('Split into equal parts keeps them equal', async () => {
  const equal = { ...split, inputs: [input('X', [2, 6, 2])], outputs: 2 };
  await checkGradient(equal);
  await checkInfer(equal);
  const { outputs } = await checkChannels({ ...equal, carry: { X: [1] }, remove: [1] });
  expect(outputs[1][1]).toEqual([0, 1, 2]);
});

test('Split with sizes as an attribute, with num_outputs, and as a constant', async () => {
  const old = { opType: 'Split', opset: 11, inputs: [input('X', [2, 6])], outputs: 2, attributes: { axis: 1, split: [2, 4] } };
  await checkInfer(old);
  await checkChannels({ ...old, carry: { X: [1] }, remove: [0, 3] });
  const uneven = { opType: 'Split', opset: 18, inputs: [input('X', [2, 5])], outputs: 3, attributes: { axis: 1, num_outputs: 3 } };
  await checkInfer(uneven);
  expect((await checkChannels({ ...uneven, carry: { X: [1] } })).reasons[0]).toMatch(/not equal/);
  const data = [1, 2, 3, 4, 5, 6];
  const folded = await checkInfer({ ...old, inputs: [input('X', [1, 6], { data, type: 'int64' })] });
  expect(folded.map((v) => v.value?.numbers())).toEqual([
    [1, 2],
    [3, 4, 5, 6],
  ]);
});

test('Split refuses sizes that do not add up', async () => {
  await expect(checkInfer({ ...split, inputs: [input('X', [2, 7, 2]), wholeNumbers('sizes', [1, 3, 2])] })).rejects.toThrow(
    /length 7 into parts of 1 \+ 3 \+ 2/,
  );
});
