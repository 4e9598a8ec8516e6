import { describe, expect, test } from 'vitest';
import { type AttributeValue, makeNode } from '../onnx/model';
import { elementCount } from '../onnx/tensor';
import { Random } from '../random';
import { findOperator } from './registry';
import { checkGradient } from './testing/check-gradient';
import { checkInfer } from './testing/check-infer';

interface Row {
  readonly opType: string;
  readonly what: string;
  readonly x: readonly number[];
  readonly attributes?: Record<string, AttributeValue>;
  readonly opset?: number;
}

const max = (what: string, x: readonly number[], attributes: Record<string, AttributeValue>): Row => ({
  opType: 'MaxPool',
  what,
  x,
  attributes,
});
const average = (what: string, x: readonly number[], attributes: Record<string, AttributeValue>, opset?: number): Row => ({
  opType: 'AveragePool',
  what,
  x,
  attributes,
  opset,
});
const k = (size: number, stride: number, rank = 2): { kernel_shape: number[]; strides: number[] } => ({
  kernel_shape: Array.from({ length: rank }, () => size),
  strides: Array.from({ length: rank }, () => stride),
});

const rows: readonly Row[] = [
  max('2×2', [2, 3, 6, 4], k(2, 2)),
  max('2×2, odd length', [2, 3, 7, 5], k(2, 2)),
  max('2×2, odd length, rounded up', [2, 3, 7, 5], { ...k(2, 2), ceil_mode: 1 }),
  max('3×3 overlapping, padded', [2, 3, 7, 8], { ...k(3, 2), pads: [1, 1, 1, 1] }),
  max('3×3 overlapping, padded, rounded up', [2, 3, 8, 8], { ...k(3, 2), pads: [1, 1, 1, 1], ceil_mode: 1 }),
  max('3×3, stride 1', [1, 2, 5, 5], k(3, 1)),
  max('stride above the kernel', [1, 2, 8, 8], k(2, 3)),
  max('dilated', [1, 2, 9, 9], { ...k(2, 2), dilations: [2, 3] }),
  max('dilated, apart', [1, 2, 9, 9], { ...k(2, 4), dilations: [2, 2] }),
  max('SAME_UPPER', [1, 2, 7, 6], { ...k(3, 2), auto_pad: 'SAME_UPPER' }),
  max('SAME_LOWER', [1, 2, 7, 6], { ...k(3, 2), auto_pad: 'SAME_LOWER' }),
  max('one axis', [2, 3, 10], k(2, 2, 1)),
  max('one axis, overlapping', [2, 3, 10], k(3, 1, 1)),
  max('three axes', [1, 2, 4, 4, 6], k(2, 2, 3)),
  average('2×2', [2, 3, 6, 4], k(2, 2)),
  average('2×2, odd length', [2, 3, 7, 5], k(2, 2)),
  average('2×2, odd length, rounded up', [2, 3, 7, 5], { ...k(2, 2), ceil_mode: 1 }),
  average('2×2, padded, padding counts', [2, 3, 6, 4], { ...k(2, 2), pads: [1, 1, 1, 1], count_include_pad: 1 }),
  average('3×3 overlapping, padded', [2, 3, 7, 8], { ...k(3, 2), pads: [1, 1, 1, 1] }),
  average('3×3 overlapping, padded, padding counts', [2, 3, 7, 8], { ...k(3, 2), pads: [1, 1, 1, 1], count_include_pad: 1 }),
  average('3×3 rounded up, padding counts', [2, 3, 8, 8], { ...k(3, 2), pads: [1, 0, 1, 0], count_include_pad: 1, ceil_mode: 1 }),
  average('3×3, stride 1, asymmetric padding', [1, 2, 5, 5], { ...k(3, 1), pads: [0, 1, 2, 1] }),
  average('SAME_UPPER', [1, 2, 7, 6], { ...k(3, 2), auto_pad: 'SAME_UPPER' }),
  average('dilated', [1, 2, 9, 9], { ...k(3, 2), dilations: [2, 1] }, 19),
  average('stride above the kernel', [1, 2, 8, 9], k(2, 3)),
  average('one axis', [2, 3, 10], k(5, 5, 1)),
  average('three axes', [1, 2, 4, 4, 6], k(2, 2, 3)),
  { opType: 'GlobalAveragePool', what: 'two axes', x: [2, 3, 4, 5] },
  { opType: 'GlobalAveragePool', what: 'one axis', x: [2, 3, 4] },
  { opType: 'GlobalMaxPool', what: 'two axes', x: [2, 3, 4, 5] },
  { opType: 'GlobalMaxPool', what: 'one axis', x: [2, 3, 4] },
];

/** Elements in random order and well apart, so that small steps leave every maximum where it is. */
const apart = (shape: readonly number[]): Float32Array =>
  Float32Array.from(new Random(3).permutation(elementCount(shape)), (p) => 0.2 * p - 5);

const caseOf = ({ opType, x, attributes, opset }: Row) => ({
  opType,
  inputs: [{ name: 'X', shape: x, data: apart(x) }],
  attributes,
  opset,
});

describe('gradients', () => {
  for (const row of rows) {
    test(`${row.opType}, ${row.what}`, async () => void (await checkGradient(caseOf(row))));
    if (row.opType === 'MaxPool')
      test(`${row.opType} in training, ${row.what}`, async () => void (await checkGradient({ ...caseOf(row), training: true })));
  }

  test('where elements are equal, together they get the gradient once', async () => {
    const x = { name: 'X', shape: [1, 1, 4, 4], data: Float32Array.from([1, 1, 2, 0, 0, 1, 0, 0, 3, 3, 5, 5, 3, 3, 0, 5]) };
    for (const attributes of [k(2, 2), { ...k(2, 2), pads: [0, 0, 1, 1] }]) {
      const gradient = async (data: Float32Array) =>
        (await checkGradient({ opType: 'MaxPool', inputs: [{ ...x, data }], attributes, probes: 0 })).gradients.get('X')!;
      const sum = (g: Float32Array): number => g.reduce((a, b) => a + b, 0);
      expect(sum(await gradient(x.data))).toBeCloseTo(sum(await gradient(apart(x.shape))), 5);
    }
  });
});

describe('shapes', () => {
  for (const row of rows)
    test(`${row.opType}, ${row.what}`, async () =>
      void (await checkInfer({ ...caseOf(row), symbolic: { X: { 0: 'batch', 2: 'length' } } })));
  test('MaxPool with the places of its maxima', async () => {
    const [, places] = await checkInfer({ ...caseOf(rows[0]), outputs: 2 });
    expect(places).toEqual({ type: 'int64', shape: [2, 3, 3, 2] });
  });
});

test('inputs and attributes that do not belong', () => {
  const infer = (opType: string, shape: readonly number[], attributes: Record<string, AttributeValue>) => () =>
    findOperator(opType)!.infer({ node: makeNode(opType, ['X'], ['Y'], attributes), opset: 17, inputs: [{ type: 'float32', shape }] });
  expect(infer('MaxPool', [1, 2, 8, 8], {})).toThrow('the attribute kernel_shape is missing');
  expect(infer('MaxPool', [1, 2], k(2, 2))).toThrow('its input has the shape [1, 2], which has no spatial axes');
  expect(infer('AveragePool', [1, 2, 3, 3], k(4, 1))).toThrow("its window of 4 does not fit into the input's length of 3");
});
