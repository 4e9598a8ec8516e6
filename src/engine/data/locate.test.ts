import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { zipSync } from 'fflate';
import { describe, expect, it } from 'vitest';
import { locateDataset } from './locate';
import { normalizations } from './normalize';
import { cifarBytes, errorOf, idxBytes, npyBytes, put, raw, temporaryFolder } from './testing/sample-files';

const env = {};
const images = (n: number) => idxBytes([n, 2, 2], new Uint8Array(4 * n));
const labels = (n: number) =>
  idxBytes(
    [n],
    Uint8Array.from({ length: n }, (_, i) => i % 10),
  );

/** Writes the four files of MNIST under names that `rename` makes. */
function idxSet(folder: string, rename = (name: string) => name, pack = (bytes: Uint8Array) => bytes): string {
  for (const [stem, n] of [
    ['train', 20],
    ['t10k', 10],
  ] as const) {
    put(join(folder, rename(`${stem}-images-idx3-ubyte`)), pack(images(n)));
    put(join(folder, rename(`${stem}-labels-idx1-ubyte`)), pack(labels(n)));
  }
  return folder;
}

describe('locating data', () => {
  it('generates digits, test images apart from training images', () => {
    const source = locateDataset({ digits: { train: 30, test: 10, seed: 3 } }, { env });
    expect(source.train).toMatchObject({ count: 30, shape: [1, 28, 28], classes: 10 });
    expect(source.test).toMatchObject({ count: 10 });
    expect(source.test!.inputs.length).toBe(7840);
    expect(source.test!.inputs).not.toEqual(source.train!.inputs.subarray(0, 7840));
  });

  it.each([
    ['mnist', (n: string) => n],
    ['MNIST/raw', (n: string) => n],
    ['mnist', (n: string) => n.replace('-idx', '.idx')],
    ['.', (n: string) => n],
  ])('finds mnist in %s', (usual, rename) => {
    const root = temporaryFolder();
    idxSet(join(root, usual), rename);
    const source = locateDataset('mnist', { dataFolder: root, env });
    expect(source).toMatchObject({ name: 'mnist', normalization: normalizations.mnist });
    expect([source.train?.count, source.test?.count]).toEqual([20, 10]);
    expect(locateDataset('mnist', { env: { ESPALIER_DATA: root } }).train?.count).toBe(20);
    expect(locateDataset('mnist', { dataFolder: root, env, only: 'test' }).train).toBeUndefined();
  });

  it('finds packed files, the data folder before the environment, and lone parts', () => {
    const root = temporaryFolder();
    idxSet(
      join(root, 'fashion-mnist'),
      (n) => `${n}.gz`,
      (b) => gzipSync(b),
    );
    expect(locateDataset('fashion-mnist', { dataFolder: temporaryFolder(), env: { ESPALIER_DATA: root } }).test?.count).toBe(10);
    const lone = temporaryFolder();
    put(join(lone, 'train-images-idx3-ubyte'), images(7));
    put(join(lone, 'train-labels-idx1-ubyte'), labels(7));
    const source = locateDataset('fashion-mnist', { dataFolder: lone, env: { ESPALIER_DATA: root } });
    expect([source.train?.count, source.test]).toEqual([7, undefined]);
  });

  it('does not take the folder of one data set for another', () => {
    const root = temporaryFolder();
    const folder = idxSet(join(root, 'fashion-mnist'));
    expect(errorOf(() => locateDataset('mnist', { dataFolder: folder, env })).message).toMatch(/No mnist in/);
    expect(locateDataset(folder, { env })).toMatchObject({ name: 'fashion-mnist', normalization: normalizations['fashion-mnist'] });
  });

  it('finds CIFAR-10', () => {
    const root = temporaryFolder();
    const folder = join(root, 'cifar-10-batches-bin');
    for (let i = 1; i <= 5; i++) put(join(folder, `data_batch_${i}.bin`), cifarBytes(2));
    put(join(folder, 'test_batch.bin'), cifarBytes(3));
    for (const dataFolder of [root, folder]) {
      const source = locateDataset('cifar10', { dataFolder, env });
      expect([source.train?.count, source.test?.count]).toEqual([10, 3]);
    }
    expect(locateDataset('cifar-10-batches-bin', { baseFolder: root, env }).test?.shape).toEqual([3, 32, 32]);
  });

  it('reads archives and pairs of files, with paths counted from the base folder', () => {
    const root = temporaryFolder();
    const x = (n: number) => npyBytes('|u1', [n, 2, 2], new Uint8Array(4 * n));
    const y = (n: number) => npyBytes('<i4', [n], raw(Int32Array.from({ length: n }, (_, i) => i)));
    put(join(root, 'set.npz'), zipSync({ 'x_train.npy': x(4), 'y_train.npy': y(4), 'x_test.npy': x(2), 'y_test.npy': y(2) }));
    const archive = locateDataset('set.npz', { baseFolder: root, env });
    expect([archive.train?.count, archive.test?.count, archive.test?.classes]).toEqual([4, 2, 4]);
    expect(archive.normalization).toEqual(normalizations.unit);

    put(join(root, 'x.npy'), npyBytes('<f4', [3, 5], new Uint8Array(60)));
    put(join(root, 'y.npy'), y(3));
    const pair = locateDataset({ test: { inputs: 'x.npy', labels: 'y.npy' } }, { baseFolder: root, env });
    expect(pair.test).toMatchObject({ count: 3, shape: [5], classes: 3 });
    expect(pair.normalization).toEqual(normalizations.raw);
    expect(locateDataset('x.npy', { baseFolder: root, env }).test?.labels).toBeUndefined();

    put(join(root, 'i'), images(2));
    put(join(root, 'l'), labels(2));
    expect(locateDataset({ train: { inputs: 'i', labels: 'l' } }, { baseFolder: root, env }).train).toMatchObject({
      count: 2,
      shape: [1, 2, 2],
    });
  });

  it('says what was looked for, where, and what to do', () => {
    const root = temporaryFolder();
    const none = errorOf(() => locateDataset('mnist', { env }));
    expect(none.message).toMatch(/mnist was asked for, but no data folder is known/);
    expect(none.hint).toMatch(
      /--data DIR, set ESPALIER_DATA, or in VS Code the setting espalier\.dataFolder\..*`espalier data mnist` fetches it.*--data file\.npy/,
    );
    const empty = errorOf(() => locateDataset('cifar10', { dataFolder: root, env }));
    expect(empty.message).toContain(
      `No cifar10 in ${root}: looked for data_batch_1.bin to data_batch_5.bin and test_batch.bin in cifar-10-batches-bin/`,
    );
    expect(empty.hint).toMatch(/espalier data cifar10/);
    expect(errorOf(() => locateDataset('mnist', { dataFolder: join(root, 'absent'), env })).message).toMatch(
      /data folder .*absent does not exist/,
    );
    expect(errorOf(() => locateDataset('nmist', { env })).message).toMatch(/no data set called nmist, and no file or folder/);
    expect(errorOf(() => locateDataset(root, { env })).message).toMatch(/holds no data set that is known here \(found nothing\)/);
    put(join(root, 'data_batch_1.bin'), cifarBytes(1));
    expect(errorOf(() => locateDataset('cifar10', { dataFolder: root, env })).message).toMatch(/not whole: data_batch_2\.bin, .* missing/);
    put(join(root, 't10k-images.idx3-ubyte'), images(2));
    expect(errorOf(() => locateDataset('mnist', { dataFolder: root, env })).message).toMatch(
      /has no labels beside it: t10k-labels-idx1-ubyte is missing/,
    );
    expect(errorOf(() => locateDataset(put(join(root, 'a.csv'), Uint8Array.of(1)), { env })).message).toMatch(/not a kind of data file/);
    const uneven = zipSync({
      'x_train.npy': npyBytes('|u1', [1, 2, 2], new Uint8Array(4)),
      'x_test.npy': npyBytes('|u1', [1, 2, 3], new Uint8Array(6)),
    });
    expect(errorOf(() => locateDataset(put(join(root, 'u.npz'), uneven), { env })).message).toMatch(
      /u\.npz train has samples of shape 1×2×2, but u\.npz test of shape 1×2×3/,
    );
    const wrong = put(join(root, 'w.npz'), zipSync({ 'foo.npy': npyBytes('|u1', [1], Uint8Array.of(1)) }));
    expect(errorOf(() => locateDataset(wrong, { env })).message).toMatch(/holds the arrays foo; none of them is called x_train/);
  });
});

describe.skipIf(!process.env['ESPALIER_DATA'])('real data (ESPALIER_DATA)', () => {
  it('reads MNIST', () => {
    const { train, test } = locateDataset('mnist');
    expect([train?.count, test?.count, train?.classes]).toEqual([60000, 10000, 10]);
    expect([...train!.labels!.subarray(0, 10)]).toEqual([5, 0, 4, 1, 9, 2, 1, 3, 1, 4]);
    let sum = 0;
    for (const v of train!.inputs) sum += v;
    const mean = sum / train!.inputs.length / 255;
    expect(mean).toBeCloseTo(normalizations.mnist.mean[0], 3);
  });

  it('reads CIFAR-10', () => {
    const { train, test } = locateDataset('cifar10');
    expect(train?.count).toBe(50000);
    expect([5000, 10000]).toContain(test?.count);
    for (let c = 0; c < 3; c++) {
      let sum = 0;
      for (let i = 0; i < 50000; i++) for (let p = 0; p < 1024; p++) sum += train!.inputs[i * 3072 + c * 1024 + p];
      expect(sum / 50000 / 1024 / 255).toBeCloseTo(normalizations.cifar10.mean[c], 3);
    }
  });
});
