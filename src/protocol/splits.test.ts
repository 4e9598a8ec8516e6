import { describe, expect, it } from 'vitest';
import { type ConfigInput, configSchema } from './config';
import { resolveSplits } from './splits';

const data = (settings: ConfigInput['data']) => configSchema.parse({ model: 'm.onnx', data: settings }).data;

describe('default splits', () => {
  it('keeps the end of the training set of MNIST for the search and the whole test set for the report', () => {
    expect(resolveSplits(data({ name: 'mnist' }), { train: 60_000, test: 10_000 })).toEqual({
      splits: {
        search: { set: 'train', from: 55_000, to: 60_000 },
        report: { set: 'test', from: 0, to: 10_000 },
        train: { set: 'train', from: 0, to: 55_000 },
        calibration: { set: 'train', from: 0, to: 8000 },
      },
      problems: [],
    });
  });

  it('divides the test set of CIFAR-10: 2,000 for the search, 3,000 of 5,000 for the report', () => {
    const { splits, problems } = resolveSplits(data({ name: 'cifar10' }), { train: 10_000, test: 5000 });
    expect(problems).toEqual([]);
    expect(splits.search).toEqual({ set: 'test', from: 0, to: 2000 });
    expect(splits.report).toEqual({ set: 'test', from: 2000, to: 5000 });
    expect(splits.train).toEqual({ set: 'train', from: 0, to: 10_000 });
  });

  it.each([
    ['digits by default', undefined, { train: 1000, test: 300 }],
    ['files with both sets', { files: { train: 'a.npz', test: 'b.npz' } }, { train: 1000, test: 300 }],
    ['only a test set', { files: { test: 'b.npz' } }, { test: 11 }],
    ['a test set that is parted further', { files: { test: 'b.npz' } }, { test: 161 }],
    ['inputs without labels', { files: { inputs: 'x.npy' } }, { test: 30_000 }],
    ['only a training set', { files: { train: 'a.npz' } }, { train: 101 }],
    ['a named set without its training part', { name: 'mnist' as const }, { test: 100 }],
  ])('%s: search, report and training share nothing', (_, settings, sizes: { train?: number; test?: number }) => {
    const { splits, problems } = resolveSplits(data(settings), sizes);
    expect(problems).toEqual([]);
    expect(splits.search).toBeDefined();
    expect(splits.report).toBeDefined();
    const used = [splits.search!, splits.report!, ...(splits.train ? [splits.train] : [])];
    for (const set of ['train', 'test'] as const) {
      const rows = used.filter((r) => r.set === set).flatMap((r) => Array.from({ length: r.to - r.from }, (_v, i) => r.from + i));
      expect(new Set(rows).size).toBe(rows.length);
      // Nothing is left unused either.
      expect(rows.length).toBe(sizes[set] ?? 0);
    }
  });
});

describe('a lone test set', () => {
  it('scores the search on other images than layers are fitted to', () => {
    const { splits, problems } = resolveSplits(data({ files: { inputs: 'images' } }), { test: 500 });
    expect(problems).toEqual([]);
    expect(splits).toEqual({
      search: { set: 'test', from: 188, to: 250 },
      report: { set: 'test', from: 250, to: 500 },
      train: { set: 'test', from: 0, to: 188 },
      calibration: { set: 'test', from: 0, to: 188 },
    });
  });

  it('is not parted further where it is small, or where the search has its own images', () => {
    expect(resolveSplits(data({ files: { inputs: 'x.npy' } }), { test: 159 }).splits).toEqual({
      search: { set: 'test', from: 0, to: 63 },
      report: { set: 'test', from: 63, to: 159 },
    });
    const given = { search: { set: 'test' as const, from: 0, count: 200 } };
    expect(resolveSplits(data({ files: { inputs: 'x.npy' }, splits: given }), { test: 500 }).splits.calibration).toBeUndefined();
  });
});

describe('given splits', () => {
  it('counts a negative start from the end', () => {
    const { splits } = resolveSplits(data({ name: 'mnist', splits: { search: { set: 'train', from: -100, count: 40 } } }), {
      train: 1000,
      test: 10,
    });
    expect(splits.search).toEqual({ set: 'train', from: 900, to: 940 });
  });

  it.each([
    [{ search: { set: 'train', from: 990, count: 20 } }, "'data.splits.search' asks for 20 images from 990, but the train set has 1000"],
    [{ search: { set: 'train', from: -1001 } }, "'data.splits.search' asks for all images from -1001, but the train set has 1000"],
    [{ report: { set: 'test' } }, "'data.splits.report' names the test set, but the data has none"],
    [
      { report: { set: 'train', from: 0, count: 5 } },
      "'data.splits.report' shares images with 'data.splits.train', so the reported accuracy is not held out",
    ],
  ] as const)('%o', (splits, problem) => {
    expect(resolveSplits(data({ files: { train: 'a.npz' }, splits }), { train: 1000 }).problems).toEqual([problem]);
  });

  it('keeps the report away from the images that layers are fitted to', () => {
    const splits = { calibration: { set: 'test' as const, from: 40, count: 20 }, report: { set: 'test' as const, from: 50 } };
    expect(resolveSplits(data({ files: { inputs: 'x.npy' }, splits }), { test: 100 }).problems).toEqual([
      "'data.splits.report' shares images with 'data.splits.calibration', so the reported accuracy is not held out",
    ]);
  });
});
