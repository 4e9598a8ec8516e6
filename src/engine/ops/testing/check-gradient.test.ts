import { expect, test } from 'vitest';
import { activations } from '../activations';
import type { Operator } from '../operator';
import { checkGradient } from './check-gradient';
import { checkInfer } from './check-infer';

// Clear of the kink at zero.
const data = [-2, -1, -0.5, 0.5, 1, 2];
const relu = { opType: 'Relu', inputs: [{ name: 'X', shape: [2, 3], data }] };

test('a right gradient passes, and is returned', async () => {
  const { gradients, outputs } = await checkGradient(relu);
  expect([...outputs[0]]).toEqual([0, 0, 0, 0.5, 1, 2]);
  expect([...gradients.get('X')!].map((g) => g !== 0)).toEqual([false, false, false, true, true, true]);
});

test('a wrong gradient is found', async () => {
  const operator = activations.find((o) => o.opTypes.includes('Relu')) as { -readonly [K in keyof Operator]: Operator[K] };
  const right = operator.gradient;
  try {
    operator.gradient = (_, [dy]) => [dy];
    await expect(checkGradient(relu)).rejects.toThrow(/gradient of 'X' along a random direction/);
    operator.gradient = () => [undefined];
    await expect(checkGradient(relu)).rejects.toThrow(/no gradient for its input 'X'/);
  } finally {
    operator.gradient = right;
  }
});

test('inferred shapes are compared with real ones', async () => {
  await checkInfer({ ...relu, symbolic: { X: { 0: 'batch' } }, expected: [['batch', 3]] });
  await expect(checkInfer({ ...relu, symbolic: { X: { 0: 'batch' } }, expected: [[2, 3]] })).rejects.toThrow(/\[batch,3\]/);
});
