/**
 * Which rows train, which steer the search (validation), and which are kept for the report (test). A row must not serve twice where that would flatter
 * the result: test rows belong to no other split, and validation rows are not trained on.
 */

import { UserError } from '../errors';
import type { DataSource, Dataset, Split } from './dataset';

/** Rows of one part of the data: `count` rows from row `from` on; a negative `from` counts from the end. */
export interface SplitRange {
  readonly of: 'train' | 'test';
  /** First row; −5000 is the 5,000th from the end. Default 0. */
  readonly from?: number;
  /** How many; default all to the end. */
  readonly count?: number;
}

export interface SplitRanges {
  /** Absent where there is nothing to train on. */
  readonly train?: SplitRange;
  readonly validation: SplitRange;
  readonly test: SplitRange;
}

export interface Splits {
  readonly train?: Split;
  readonly validation: Split;
  readonly test: Split;
}

/** Validation rows that the split for pretrained models takes from the test part. */
const PRETRAINED_VALIDATION = 2000;

/** All rows of a data set. */
export function wholeSplit(dataset: Dataset): Split {
  return { dataset, rows: Uint32Array.from({ length: dataset.count }, (_, i) => i) };
}

/** The first `count` rows of a split (all where it has fewer): e.g. the images that a search scores on. */
export function firstRows({ dataset, rows }: Split, count: number): Split {
  return { dataset, rows: rows.slice(0, count) };
}

/**
 * Ranges where the config names none. Not pretrained: the last twelfth of the training part validates (5,000 of MNIST's 60,000), the whole test part is the test.
 * Pretrained: the model has seen every training image, so the first 2,000 test images validate (two fifths where there are fewer than 5,000) and the others are the test.
 * Where only one part exists, its last two tenths are validation and test, or, of a test part, two fifths and the rest.
 */
export function defaultRanges(source: DataSource, pretrained = false): SplitRanges {
  const { train, test } = source;
  if (test && (pretrained || !train)) {
    const validation = Math.min(PRETRAINED_VALIDATION, Math.floor((test.count * 2) / 5));
    return { train: train && { of: 'train' }, validation: { of: 'test', count: validation }, test: { of: 'test', from: validation } };
  }
  if (!train) throw new UserError(`${source.name} has neither a training nor a test part.`, 'Name a data set with at least one of them.');
  if (test) {
    const validation = Math.floor(train.count / 12);
    return {
      train: { of: 'train', count: train.count - validation },
      validation: { of: 'train', from: train.count - validation },
      test: { of: 'test' },
    };
  }
  const tenth = Math.floor(train.count / 10);
  return {
    train: { of: 'train', count: train.count - 2 * tenth },
    validation: { of: 'train', from: train.count - 2 * tenth, count: tenth },
    test: { of: 'train', from: train.count - tenth },
  };
}

/** The rows of one range. Throws a UserError where the data has no such part or not that many rows. `field` names the config's field in errors. */
export function selectRange(source: DataSource, { of, from = 0, count }: SplitRange, field = 'split'): Split {
  const dataset = source[of];
  if (!dataset) {
    const other = of === 'train' ? 'test' : 'train';
    throw new UserError(
      `${field} takes rows of the ${of} part, but ${source.name} has no ${of} part here.`,
      `Use { "of": "${other}" }, or add the files.`,
    );
  }
  const first = from < 0 ? dataset.count + from : from;
  const end = count === undefined ? dataset.count : first + count;
  if (!Number.isInteger(first) || !Number.isInteger(end) || first < 0 || end > dataset.count || end <= first) {
    throw new UserError(
      `${field} asks for ${count ?? 'all'} rows from ${from} of the ${of} part of ${source.name}, which has ${dataset.count}.`,
      'A split needs at least one row, and all of them within the data.',
    );
  }
  return { dataset, rows: Uint32Array.from({ length: end - first }, (_, i) => first + i) };
}

/** Train, validation and test rows. Throws a UserError where a range does not fit the data or two of them share rows. */
export function makeSplits(source: DataSource, ranges: SplitRanges = defaultRanges(source)): Splits {
  const splits = {
    train: ranges.train && selectRange(source, ranges.train, 'splits.train'),
    validation: selectRange(source, ranges.validation, 'splits.validation'),
    test: selectRange(source, ranges.test, 'splits.test'),
  };
  const pairs = [
    ['train', 'validation'],
    ['train', 'test'],
    ['validation', 'test'],
  ] as const;
  for (const [a, b] of pairs) {
    const [one, other] = [splits[a], splits[b]];
    if (!one || one.dataset !== other?.dataset) continue;
    const shared = Math.min(one.rows.at(-1)!, other.rows.at(-1)!) - Math.max(one.rows[0], other.rows[0]) + 1;
    if (shared > 0) {
      throw new UserError(
        `splits.${a} and splits.${b} share ${shared} rows of ${source.name}.`,
        'Change from and count so that no row serves twice.',
      );
    }
  }
  return splits;
}
