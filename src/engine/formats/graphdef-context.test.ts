import { expect, test } from 'vitest';
import { fixedInts, intsOf, type NodeContext } from './graphdef-context';

/** A node whose second input holds these numbers. */
const reading = (data: readonly number[]): NodeContext =>
  ({ node: { name: 'dense/Reshape', op: 'Reshape' }, constant: () => ({ name: '', type: 'int32', dims: [data.length], data }) }) as never;

test('lengths are whole numbers, or the batch', () => {
  expect(intsOf(reading([-1, 4]), 1)).toEqual([-1, 4]);
  expect(intsOf(reading([Number.NaN, 4]), 1)).toEqual([Number.NaN, 4]);
  expect(() => intsOf(reading([2, -0.084]), 1)).toThrow("node 'dense/Reshape' (Reshape) takes the length -0.084, which is no whole number");
  expect(() => fixedInts(reading([Number.NaN, 4]), 1)).toThrow('takes a length that depends on the batch');
});
