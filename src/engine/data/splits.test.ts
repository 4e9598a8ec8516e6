import { expect, it } from 'vitest';
import type { Dataset } from './dataset';
import { firstRows, labelsOf, rowsOf, wholeSplit } from './splits';

const dataset: Dataset = { name: 'five', count: 5, shape: [1], inputs: Uint8Array.of(0, 1, 2, 3, 4), labels: Uint8Array.of(9, 8, 7, 6, 5) };

it('cuts rows, and their labels in the same order', () => {
  expect([...wholeSplit(dataset).rows]).toEqual([0, 1, 2, 3, 4]);
  const middle = rowsOf(dataset, 1, 4);
  expect([...labelsOf(middle)]).toEqual([8, 7, 6]);
  expect([...firstRows(middle, 2).rows]).toEqual([1, 2]);
  expect([...firstRows(middle, 9).rows]).toEqual([1, 2, 3]);
});
