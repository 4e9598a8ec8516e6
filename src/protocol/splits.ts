/** Which images are used for what, once the sizes of the sets are known. */
import type { DataSettings } from './config';

export type SplitUse = 'search' | 'report' | 'train' | 'calibration';

/** Rows [from, to) of one set. */
export interface SplitRange {
  readonly set: 'train' | 'test';
  readonly from: number;
  readonly to: number;
}

/** How many images each set has; absent where there is no such set. */
export interface SetSizes {
  readonly train?: number;
  readonly test?: number;
}

export interface ResolvedSplits {
  readonly splits: Readonly<Record<SplitUse, SplitRange | undefined>>;
  /** Sentences naming the field: a split outside its set, or report images that the search sees. */
  readonly problems: readonly string[];
}

const CALIBRATION_IMAGES = 8000;
/** Fewer images than these in the first half of a lone test set are not parted further: each part would say too little. */
const FEWEST_PARTED = 80;

/**
 * Ranges for each use: as the config says, otherwise as suits the data.
 * - MNIST, Fashion-MNIST, digits: the search is scored on the end of the training set (5,000 images, at most a fifth), the report on the whole
 *   test set.
 * - CIFAR-10 and your own files with both sets: the search is scored on the first 2,000 test images (at most two fifths), the report on the
 *   others, because a pretrained network has seen every training image and scores near 100 % there.
 * - Nothing but a test set (inputs without labels, mostly): the second half is reported; of the first half a quarter (at most 2,000) scores the
 *   search, and the rest takes the place of training images, because layers that are fitted to the images that score them fit chance. With fewer
 *   than 160 images, or where the config names the search's or the report's itself, the search's images serve for reconstruction too, and nothing is trained on.
 * - Nothing but a training set: its last fifth, half for the search, half for the report.
 */
export function resolveSplits(data: DataSettings, sizes: SetSizes): ResolvedSplits {
  const problems: string[] = [];
  const { train = 0, test = 0 } = sizes;
  const range = (set: 'train' | 'test', from: number, to: number): SplitRange | undefined => (to > from ? { set, from, to } : undefined);

  const pretrained = test > 0 && (data.files !== undefined || data.name === 'cifar10' || train === 0);
  const heldOut = pretrained ? Math.min(2000, Math.floor((test * 2) / 5)) : Math.min(5000, Math.floor(train / 5));
  const trainEnd = pretrained ? train : train - heldOut;
  const half = trainEnd + Math.ceil(heldOut / 2);
  const first = Math.floor(test / 2);
  const alone = train === 0 && first >= FEWEST_PARTED && !data.splits.search && !data.splits.report;
  const scored = Math.min(2000, Math.floor(first / 4));
  const parted: Record<SplitUse, SplitRange | undefined> = {
    search: range('test', first - scored, first),
    report: range('test', first, test),
    train: range('test', 0, first - scored),
    calibration: range('test', 0, Math.min(CALIBRATION_IMAGES, first - scored)),
  };
  const defaults: Record<SplitUse, SplitRange | undefined> = alone
    ? parted
    : {
        search: pretrained ? range('test', 0, heldOut) : range('train', trainEnd, test > 0 ? train : half),
        report: pretrained ? range('test', heldOut, test) : test > 0 ? range('test', 0, test) : range('train', half, train),
        train: range('train', 0, trainEnd),
        calibration: range('train', 0, Math.min(CALIBRATION_IMAGES, trainEnd)),
      };

  const resolve = (use: SplitUse): SplitRange | undefined => {
    const given = data.splits[use];
    if (!given) return defaults[use];
    const size = sizes[given.set];
    if (size === undefined) {
      problems.push(`'data.splits.${use}' names the ${given.set} set, but the data has none`);
      return undefined;
    }
    const from = given.from < 0 ? size + given.from : given.from;
    const to = given.count === undefined ? size : from + given.count;
    if (from < 0 || from >= size || to > size) {
      problems.push(
        `'data.splits.${use}' asks for ${given.count ?? 'all'} images from ${given.from}, but the ${given.set} set has ${size}`,
      );
      return undefined;
    }
    return { set: given.set, from, to };
  };

  const splits = { search: resolve('search'), report: resolve('report'), train: resolve('train'), calibration: resolve('calibration') };
  const overlap = (a: SplitRange | undefined, b: SplitRange | undefined): boolean =>
    a !== undefined && b !== undefined && a.set === b.set && a.from < b.to && b.from < a.to;
  if (overlap(splits.report, splits.search))
    problems.push("'data.splits.report' shares images with 'data.splits.search', so the reported accuracy is not held out");
  if (overlap(splits.report, splits.train))
    problems.push("'data.splits.report' shares images with 'data.splits.train', so the reported accuracy is not held out");
  else if (overlap(splits.report, splits.calibration))
    problems.push("'data.splits.report' shares images with 'data.splits.calibration', so the reported accuracy is not held out");
  return { splits, problems };
}
