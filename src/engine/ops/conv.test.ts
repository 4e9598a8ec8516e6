import { describe, expect, test } from 'vitest';
import { UserError } from '../errors';
import type { AttributeValue } from '../onnx/model';
import { makeNode } from '../onnx/model';
import { conv } from './conv';
import { checkGradient } from './testing/check-gradient';
import { checkInfer } from './testing/check-infer';

interface Row {
  readonly what: string;
  readonly x: readonly number[];
  readonly w: readonly number[];
  readonly bias?: boolean;
  readonly attributes?: Record<string, AttributeValue>;
}

const rows: readonly Row[] = [
  { what: '3×3, padded, with bias', x: [2, 3, 6, 5], w: [4, 3, 3, 3], bias: true, attributes: { pads: [1, 1, 1, 1] } },
  { what: '3×3 without padding', x: [2, 3, 6, 5], w: [4, 3, 3, 3] },
  { what: '3×3, many channels', x: [2, 10, 6, 5], w: [4, 10, 3, 3], bias: true, attributes: { pads: [1, 1, 1, 1] } },
  { what: '3×3, many channels and filters', x: [3, 20, 6, 6], w: [24, 20, 3, 3], attributes: { pads: [1, 1, 1, 1] } },
  { what: '3×3, many channels, large map', x: [1, 9, 18, 17], w: [4, 9, 3, 3], attributes: { pads: [1, 1, 1, 1] } },
  { what: 'stride 2, many channels, one column left over', x: [2, 16, 8, 7], w: [18, 16, 3, 3], attributes: { strides: [2, 2] } },
  {
    what: 'stride 2, even length: one row left over',
    x: [2, 3, 8, 8],
    w: [4, 3, 3, 3],
    attributes: { strides: [2, 2], pads: [1, 1, 1, 1] },
  },
  {
    what: 'strides and kernel that differ by axis',
    x: [2, 2, 9, 11],
    w: [3, 2, 2, 5],
    attributes: { strides: [3, 2], pads: [0, 2, 1, 1] },
  },
  { what: 'dilation 2', x: [2, 3, 9, 8], w: [4, 3, 3, 3], attributes: { dilations: [2, 2], pads: [2, 2, 2, 2] } },
  {
    what: 'dilation 2 with stride 2',
    x: [2, 3, 10, 9],
    w: [4, 3, 3, 2],
    attributes: { dilations: [2, 2], strides: [2, 2], pads: [1, 1, 0, 2] },
  },
  { what: 'padding wider than the kernel', x: [1, 2, 4, 4], w: [2, 2, 2, 2], attributes: { pads: [2, 3, 3, 2] } },
  { what: 'asymmetric padding', x: [2, 3, 6, 5], w: [4, 3, 3, 3], attributes: { pads: [0, 1, 2, 0] } },
  { what: '1×1', x: [2, 5, 4, 3], w: [6, 5, 1, 1], bias: true },
  { what: '1×1, many channels', x: [2, 12, 4, 3], w: [6, 12, 1, 1] },
  { what: '1×1 with stride 2, odd length', x: [2, 5, 5, 7], w: [6, 5, 1, 1], attributes: { strides: [2, 2] } },
  { what: '1×1 with stride 2, even length', x: [2, 5, 6, 8], w: [6, 5, 1, 1], attributes: { strides: [2, 2] } },
  { what: '1×1 with padding and stride', x: [1, 2, 5, 5], w: [3, 2, 1, 1], attributes: { strides: [2, 2], pads: [1, 1, 1, 1] } },
  { what: 'SAME_UPPER, stride 2', x: [2, 3, 7, 8], w: [4, 3, 3, 3], attributes: { auto_pad: 'SAME_UPPER', strides: [2, 2] } },
  { what: 'SAME_LOWER, stride 2, even kernel', x: [2, 3, 7, 8], w: [4, 3, 4, 4], attributes: { auto_pad: 'SAME_LOWER', strides: [2, 2] } },
  { what: 'SAME_UPPER, stride 1, even kernel', x: [2, 3, 5, 5], w: [4, 3, 2, 2], attributes: { auto_pad: 'SAME_UPPER' } },
  { what: 'VALID', x: [2, 3, 7, 8], w: [4, 3, 3, 3], attributes: { auto_pad: 'VALID', strides: [2, 2] } },
  { what: 'two groups', x: [2, 6, 6, 5], w: [4, 3, 3, 3], bias: true, attributes: { group: 2, pads: [1, 1, 1, 1] } },
  { what: 'two groups, many channels', x: [2, 18, 6, 5], w: [4, 9, 3, 3], attributes: { group: 2, pads: [1, 1, 1, 1] } },
  { what: 'three groups, stride 2', x: [2, 6, 7, 7], w: [9, 2, 3, 3], attributes: { group: 3, strides: [2, 2] } },
  { what: 'depthwise', x: [2, 4, 6, 5], w: [4, 1, 3, 3], bias: true, attributes: { group: 4, pads: [1, 1, 1, 1] } },
  {
    what: 'depthwise, stride 2, left over',
    x: [2, 4, 8, 8],
    w: [4, 1, 3, 3],
    attributes: { group: 4, strides: [2, 2], pads: [1, 1, 1, 1] },
  },
  { what: 'depthwise, stride 3, no padding, more left over', x: [1, 2, 9, 10], w: [2, 1, 2, 2], attributes: { group: 2, strides: [3, 3] } },
  { what: 'depthwise, dilated', x: [2, 3, 9, 8], w: [3, 1, 3, 3], attributes: { group: 3, dilations: [2, 2], pads: [2, 2, 2, 2] } },
  { what: 'depthwise, two filters a channel', x: [2, 3, 6, 5], w: [6, 1, 3, 3], attributes: { group: 3, pads: [1, 1, 1, 1] } },
  {
    what: 'depthwise, two filters a channel, stride 2',
    x: [2, 3, 7, 8],
    w: [6, 1, 3, 3],
    attributes: { group: 3, strides: [2, 2], pads: [1, 1, 1, 1] },
  },
  {
    what: 'depthwise, dilation 2 and stride 2',
    x: [2, 3, 10, 9],
    w: [3, 1, 3, 2],
    attributes: { group: 3, dilations: [2, 2], strides: [2, 2] },
  },
  { what: 'depthwise, 1×1, stride 2', x: [2, 3, 6, 5], w: [3, 1, 1, 1], attributes: { group: 3, strides: [2, 2] } },
  { what: 'one spatial axis', x: [2, 3, 12], w: [4, 3, 5], bias: true, attributes: { pads: [2, 2] } },
  { what: 'one spatial axis, stride 3, depthwise', x: [2, 3, 12], w: [3, 1, 5], attributes: { strides: [3], pads: [2, 2], group: 3 } },
  {
    what: 'one spatial axis, stride 2, dilation 3',
    x: [2, 9, 16],
    w: [4, 9, 3],
    attributes: { strides: [2], dilations: [3], pads: [2, 1] },
  },
  { what: 'three spatial axes', x: [1, 2, 5, 4, 6], w: [3, 2, 3, 3, 3], attributes: { pads: [1, 1, 1, 1, 1, 1], strides: [2, 1, 2] } },
];

const caseOf = ({ x, w, bias, attributes }: Row) => ({
  opType: 'Conv',
  inputs: [{ name: 'X', shape: x }, { name: 'W', shape: w }, bias ? { name: 'B', shape: [w[0]] } : undefined],
  attributes,
});

describe('gradients', () => {
  for (const row of rows) test(row.what, async () => void (await checkGradient({ ...caseOf(row), step: 0.1 })));
});

describe('shapes', () => {
  for (const row of rows)
    test(row.what, async () => void (await checkInfer({ ...caseOf(row), symbolic: { X: { 0: 'batch', 2: 'height' } } })));

  test('symbolic lengths pass where they do not change', async () => {
    const inputs = [
      { name: 'X', shape: [2, 3, 8, 8] },
      { name: 'W', shape: [4, 3, 3, 3] },
    ];
    const symbolic = { X: { 0: 'batch', 2: 'height', 3: 'width' } };
    await checkInfer({ opType: 'Conv', inputs, attributes: { pads: [1, 1, 1, 1] }, symbolic, expected: [['batch', 4, 'height', 'width']] });
    await checkInfer({ opType: 'Conv', inputs, attributes: { pads: [1, 0, 1, 0] }, symbolic, expected: [['batch', 4, 'height', '']] });
    await checkInfer({
      opType: 'Conv',
      inputs,
      attributes: { auto_pad: 'SAME_UPPER' },
      symbolic,
      expected: [['batch', 4, 'height', 'width']],
    });
  });
});

test('gradients that nobody wants cost nothing', () => {
  const emitted: string[] = [];
  const value = (name: string, shape: readonly number[]) => ({ name, type: 'float32' as const, shape });
  const b = new Proxy({} as Parameters<NonNullable<typeof conv.gradient>>[0]['b'], {
    get: () => (opType: string) => {
      emitted.push(opType);
      return value('?', []);
    },
  });
  const node = makeNode('Conv', ['X', 'W'], ['Y'], {});
  const inputs = [value('X', [1, 3, 8, 8]), value('W', [4, 3, 3, 3])];
  const outputs = [value('Y', [1, 4, 6, 6])];
  const result = conv.gradient!({ node, opset: 17, b, inputs, outputs, wants: () => false }, [value('dY', [1, 4, 6, 6])]);
  expect(result.every((g) => g === undefined)).toBe(true);
  expect(emitted).toEqual([]);
});

test('cost is multiply-accumulates; symbolic lengths count as 1', () => {
  const node = makeNode('Conv', ['X', 'W'], ['Y'], { group: 2 });
  const inputs = [
    { type: 'float32' as const, shape: ['batch', 4, 8, 8] },
    { type: 'float32' as const, shape: [6, 2, 3, 3] },
  ];
  expect(conv.cost!({ node, opset: 17, inputs, outputs: conv.infer({ node, opset: 17, inputs }) })).toBe(6 * 6 * 6 * 2 * 9);
});

describe('inputs that do not belong together', () => {
  const wrong = (x: readonly number[], w: readonly number[], attributes: Record<string, AttributeValue> = {}, bias?: readonly number[]) => {
    const node = makeNode('Conv', ['X', 'weight', 'bias'], ['Y'], attributes);
    const inputs = [x, w, bias].map((shape) => shape && { type: 'float32' as const, shape });
    return () => conv.infer({ node, opset: 17, inputs });
  };
  test.each([
    [wrong([1, 3, 8, 8], [4, 2, 3, 3]), "its input has 3 channels, its weight 'weight' expects 2"],
    [wrong([1, 3, 8], [4, 3, 3, 3]), "its input has 3 axes and its weight 'weight' has 4"],
    [wrong([1, 3, 2, 8], [4, 3, 3, 3]), "its window of 3 does not fit into the input's length of 2 with 0 zeros of padding"],
    [wrong([1, 4, 8, 8], [5, 2, 3, 3], { group: 2 }), 'its 5 output channels cannot be split into 2 groups'],
    [
      wrong([1, 3, 8, 8], [4, 3, 3, 3], { kernel_shape: [5, 5] }),
      "the attribute kernel_shape is [5, 5], but the weight's kernel is [3, 3]",
    ],
    [wrong([1, 3, 8, 8], [4, 3, 3, 3], { pads: [1, 1] }), 'the attribute pads is [1, 1] where 4 numbers of at least 0 belong'],
    [wrong([1, 3, 8, 8], [4, 3, 3, 3], { strides: [0, 1] }), 'the attribute strides is [0, 1] where 2 numbers of at least 1 belong'],
    [wrong([1, 3, 8, 8], [4, 3, 3, 3], { auto_pad: 'SAME' }), "the attribute auto_pad is 'SAME'"],
    [wrong([1, 3, 8, 8], [4, 3, 3, 3], {}, [5]), "its bias 'bias' has the shape [5] where [4] belongs"],
  ])('%#', (infer, message) => {
    expect(infer).toThrow(UserError);
    expect(infer).toThrow(message);
  });
});
