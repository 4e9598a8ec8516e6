import { expect, test } from 'vitest';
import { makeNode } from '../onnx/model';
import { Tensor } from '../onnx/tensor';
import { GraphBuilder } from './builder';
import { findOperator } from './registry';
import { checkChannels } from './testing/check-channels';
import { checkGradient } from './testing/check-gradient';
import { checkInfer } from './testing/check-infer';

// Clear of the kinks at 0, ±2.5, ±3 and at the bounds of the clips below.
const spread = [-4, -2.8, -2.2, -1.3, -0.6, -0.2, 0.15, 0.4, 0.9, 1.6, 2.2, 3.5];
const positive = spread.map((v) => Math.abs(v) + 0.3);
const x = (data: number[]) => ({ name: 'X', shape: [2, 3, 2], data });
const bound = (name: string, value: number) => ({ name, shape: [], data: [value], constant: true });

const cases = [
  { opType: 'Relu' },
  { opType: 'LeakyRelu', attributes: { alpha: { float: 0.2 } } },
  { opType: 'LeakyRelu' },
  { opType: 'Sigmoid' },
  { opType: 'Tanh' },
  { opType: 'Softplus' },
  { opType: 'Softsign' },
  { opType: 'HardSigmoid' },
  { opType: 'HardSigmoid', attributes: { alpha: { float: 0.3 }, beta: { float: 0.45 } } },
  { opType: 'HardSwish' },
  { opType: 'Elu', attributes: { alpha: { float: 1.5 } } },
  { opType: 'Exp' },
  { opType: 'Log', data: positive },
  { opType: 'Sqrt', data: positive },
  { opType: 'Reciprocal', data: positive },
  { opType: 'Abs' },
  { opType: 'Neg' },
  { opType: 'Erf' },
  { opType: 'Identity' },
  { opType: 'Clip', more: [bound('low', -1), bound('high', 2)] },
  { opType: 'Clip', more: [bound('low', 0)] },
  { opType: 'Clip', more: [undefined, bound('high', 1)] },
  { opType: 'Clip' },
];

test.each(cases)('$opType $attributes $more: gradient, shape, channels', async ({ opType, attributes, data, more }) => {
  const node = { opType, attributes, inputs: [x(data ?? spread), ...(more ?? [])] };
  await checkGradient(node);
  await checkInfer({ ...node, symbolic: { X: { 0: 'batch' } }, expected: [['batch', 3, 2]] });
  await checkChannels({ ...node, carry: { X: [1] }, remove: [1] });
});

test.each(['none', 'tanh'])('Gelu (%s) in training is what onnxruntime computes, and its gradient is right', async (approximate) => {
  const node = { opType: 'Gelu', attributes: { approximate }, inputs: [x(spread)] };
  await checkInfer({ ...node, opset: 20 });
  const { outputs } = await checkGradient({ ...node, training: true });
  const exact = (v: number) => (v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3)))) / 2;
  // The two forms differ by less than 0.001 (Hendrycks, Gimpel 2016).
  [...outputs[0]].forEach((y, i) => {
    expect(Math.abs(y - exact(spread[i]))).toBeLessThan(1e-3);
  });
});

test('Clip takes its bounds from attributes before set 11', () => {
  const operator = findOperator('Clip')!;
  const node = makeNode('Clip', ['X'], ['Y'], { min: { float: 0 }, max: { float: 6 } });
  expect(operator.infer({ node, opset: 6, inputs: [{ type: 'float32', shape: ['n', 4] }] })[0].shape).toEqual(['n', 4]);
});

test.each(['Floor', 'Ceil', 'Round', 'Sign'])('%s has a shape and no gradient', async (opType) => {
  await checkInfer({ opType, inputs: [x(spread)] });
  expect(findOperator(opType)?.gradient).toBeUndefined();
});

test('constants are folded, halves rounded to even', () => {
  const folded = (opType: string, data: number[], attributes = {}) => {
    const b = new GraphBuilder();
    const constant = b.op('Constant', [], { value: Tensor.float32('', [data.length], Float32Array.from(data)) });
    return b.constantOf(b.op(opType, [constant], attributes))?.numbers();
  };
  expect(folded('Floor', [-1.5, 0.5, 1, 2.9])).toEqual([-2, 0, 1, 2]);
  expect(folded('Round', [-1.5, 0.5, 1.5, 2.4])).toEqual([-2, 0, 2, 2]);
  expect(folded('Cast', [-1.7, 0, 2.5], { to: 7 })).toEqual([-1, 0, 2]);
  expect(folded('Cast', [-1.7, 0, 2.5], { to: 9 })).toEqual([1, 0, 1]);
});

test('a weight is never folded', () => {
  const b = new GraphBuilder();
  const bias = b.floats('bias', [3], Float32Array.of(1, 2, 3));
  expect(b.constantOf(b.op('Reshape', [bias, b.ints([3, 1])]))).toBeUndefined();
  expect(b.constantOf(b.op('Mul', [bias, b.scalar(2)]))).toBeUndefined();
  expect(b.constantOf(b.op('Mul', [b.scalar(3), b.scalar(2)]))?.numbers()).toEqual([6]);
});

test('Dropout passes values on, and in training drops the stated share and scales the rest', async () => {
  const inputs = [
    { name: 'X', shape: [50, 40] },
    { name: 'ratio', shape: [], data: [0.25], constant: true },
  ];
  await checkInfer({ opType: 'Dropout', inputs, symbolic: { X: { 0: 'batch' } }, expected: [['batch', 40]] });
  const ones = [{ ...inputs[0], data: new Float32Array(2000).fill(1) }, inputs[1]];
  const { outputs } = await checkGradient({ opType: 'Dropout', inputs: ones, training: true });
  const dropped = outputs[0].filter((v) => v === 0).length / 2000;
  expect(dropped).toBeGreaterThan(0.2);
  expect(dropped).toBeLessThan(0.3);
  expect(outputs[0].every((v) => v === 0 || Math.abs(v - 1 / 0.75) < 1e-5)).toBe(true);
});

test('a ratio out of range is the file’s fault', async () => {
  const inputs = [
    { name: 'X', shape: [2] },
    { name: 'ratio', shape: [], data: [1], constant: true },
  ];
  await expect(checkGradient({ opType: 'Dropout', inputs, training: true })).rejects.toThrow(/ratio 1/);
});

test('Cast', async () => {
  await checkInfer({ opType: 'Cast', inputs: [x(spread)], attributes: { to: 7 } });
  expect(() =>
    findOperator('Cast')!.infer({ node: makeNode('Cast', ['X'], ['Y'], { to: 99 }), opset: 17, inputs: [{ type: 'float32' }] }),
  ).toThrow(/unknown data type 99/);
});
