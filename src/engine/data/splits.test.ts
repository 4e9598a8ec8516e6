import { describe, expect, it } from 'vitest';
import type { DataSource, Dataset } from './dataset';
import { normalizations } from './normalize';
import { defaultRanges, firstRows, makeSplits, type SplitRanges, wholeSplit } from './splits';
import { errorOf } from './testing/sample-files';

const part = (count: number): Dataset => ({ name: 'd', count, shape: [1], inputs: new Uint8Array(count) });
const source = (train?: number, test?: number): DataSource => ({
  name: 'd',
  train: train === undefined ? undefined : part(train),
  test: test === undefined ? undefined : part(test),
  normalization: normalizations.raw,
});
const ends = (source: DataSource, pretrained = false) => {
  const { train, validation, test } = makeSplits(source, defaultRanges(source, pretrained));
  return [train, validation, test].map((s) => s && [s.dataset === source.train ? 'train' : 'test', s.rows[0], s.rows.at(-1)]);
};

describe('splits', () => {
  it('by default are those of MNIST, of pretrained CIFAR models, and of lone parts', () => {
    expect(ends(source(60000, 10000))).toEqual([
      ['train', 0, 54999],
      ['train', 55000, 59999],
      ['test', 0, 9999],
    ]);
    expect(ends(source(50000, 5000), true)).toEqual([
      ['train', 0, 49999],
      ['test', 0, 1999],
      ['test', 2000, 4999],
    ]);
    expect(ends(source(undefined, 100))).toEqual([undefined, ['test', 0, 39], ['test', 40, 99]]);
    expect(ends(source(100))).toEqual([
      ['train', 0, 79],
      ['train', 80, 89],
      ['train', 90, 99],
    ]);
  });

  it('take rows from either end', () => {
    const ranges: SplitRanges = { validation: { of: 'train', from: -5, count: 2 }, test: { of: 'train', from: -3 } };
    const splits = makeSplits(source(20), ranges);
    expect([...splits.validation.rows]).toEqual([15, 16]);
    expect([...splits.test.rows]).toEqual([17, 18, 19]);
    expect(splits.train).toBeUndefined();
    expect([...firstRows(splits.test, 2).rows]).toEqual([17, 18]);
    expect([...wholeSplit(part(3)).rows]).toEqual([0, 1, 2]);
  });

  it.each([
    [{ validation: { of: 'test' }, test: { of: 'train' } }, /splits\.validation takes rows of the test part, but d has no test part/],
    [
      { validation: { of: 'train', from: 15, count: 10 }, test: { of: 'train', count: 1 } },
      /splits\.validation asks for 10 rows from 15 .*which has 20/,
    ],
    [{ validation: { of: 'train', count: 0 }, test: { of: 'train', count: 1 } }, /asks for 0 rows/],
    [{ validation: { of: 'train', from: -30 }, test: { of: 'train', count: 1 } }, /asks for all rows from -30/],
    [{ validation: { of: 'train', count: 11 }, test: { of: 'train', from: 10 } }, /splits\.validation and splits\.test share 1 rows of d/],
    [
      { train: { of: 'train', count: 12 }, validation: { of: 'train', from: 10, count: 5 }, test: { of: 'train', from: 15 } },
      /splits\.train and splits\.validation share 2 rows/,
    ],
  ] as [SplitRanges, RegExp][])('%j is refused', (ranges, sentence) => {
    const error = errorOf(() => makeSplits(source(20), ranges));
    expect(error.name).toBe('UserError');
    expect(error.message).toMatch(sentence);
  });
});
