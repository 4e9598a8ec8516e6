import { expect, test } from 'vitest';
import { makeNode } from '../onnx/model';
import { einsums } from './einsum';
import { checkChannels } from './testing/check-channels';
import { checkInfer } from './testing/check-infer';
import type { InputCase } from './testing/single-node';

const named = (name: string, shape: number[], constant = false) => ({ name, shape, constant });
const node = (equation: string, ...inputs: InputCase[]) => ({ opType: 'Einsum', attributes: { equation }, inputs });

test.each([
  ['bij,bjk->bik', [2, 3, 4], [2, 4, 5]],
  ['bij, bjk -> ki', [2, 3, 4], [2, 4, 5]],
  ['...ij,...jk->...ik', [2, 1, 3, 4], [2, 6, 4, 5]],
  ['ba,ac', [2, 3], [3, 4]],
  ['ij,ij->', [2, 3], [2, 3]],
] as const)('%s: the shape is onnxruntime’s', async (equation, a, b) => {
  await checkInfer({ ...node(equation, named('A', [...a]), named('B', [...b])), symbolic: { A: { 0: 'n' } } });
});

test('a diagonal has a shape', async () => {
  await checkInfer(node('bii->bi', named('A', [2, 3, 3])));
});

test('channels: a weight consumes the letter that is summed over, and produces the one that it brings', async () => {
  // Equal only where the weight does not read what goes: rows 0 and 2 are zero.
  const data = Array.from({ length: 12 }, (_, i) => (i < 3 || (i >= 6 && i < 9) ? 0 : i - 4));
  const linear = node('bi,io->bo', named('A', [2, 4]), { ...named('W', [4, 3], true), data });
  const { outputs, roles, reasons } = await checkChannels({ ...linear, carry: { A: [1] }, remove: [0, 2] });
  expect(outputs[0][1]).toHaveLength(3);
  expect(roles).toContain('1:0:consumer');
  expect(roles).toContain('1:1:producer');
  expect(reasons).toEqual([]);
});

test('channels: heads pass, what two computed values are summed over stays', async () => {
  const scores = node('bhid,bhjd->bhij', named('Q', [2, 3, 4, 5]), named('K', [2, 3, 6, 5]));
  await checkChannels({ ...scores, carry: { Q: [1], K: [1] }, remove: [1] });
  const { reasons } = await checkChannels({ ...scores, carry: { Q: [3], K: [3] } });
  expect(reasons).toEqual([expect.stringContaining('sums over them without a weight')]);
});

test('equations that do not fit are refused with a sentence', () => {
  const infer =
    (equation: string, ...shapes: number[][]) =>
    () =>
      einsums[0].infer({
        node: makeNode('Einsum', ['A', 'B'].slice(0, shapes.length), ['Y'], { equation }),
        opset: 17,
        inputs: shapes.map((shape) => ({ type: 'float32' as const, shape })),
      });
  expect(infer('ij,jk->ik', [2, 3])).toThrow('of 2 terms for 1 inputs');
  expect(infer('ij->ji', [2, 3, 4])).toThrow('whose term "ij" does not fit an input of 3 axes');
  expect(infer('ij,jk->ik', [2, 3], [4, 5])).toThrow('gives the axis "j" the lengths 3 and 4');
  expect(infer('ij->k', [2, 3])).toThrow('whose output "k" no input has');
});
