import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { readIdx, readIdxDataset } from './idx';
import { errorOf, idxBytes, put, temporaryFolder } from './testing/sample-files';

const folder = temporaryFolder();
const file = (name: string, bytes: Uint8Array) => put(join(folder, name), bytes);
const images = file('images', idxBytes([2, 2, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]));

describe('idx', () => {
  it('reads images and labels, packed or not', () => {
    const labels = file('labels.gz', gzipSync(idxBytes([2], [4, 2])));
    const data = readIdxDataset('tiny', images, labels);
    expect(data).toMatchObject({ name: 'tiny', count: 2, shape: [1, 2, 3], classes: 5 });
    expect([...data.inputs]).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
    expect([...data.labels!]).toEqual([4, 2]);
    expect(readIdxDataset('tiny', images).labels).toBeUndefined();
  });

  it.each([
    ['short', idxBytes([2, 2, 3], [1, 2, 3]), /short should have 28 bytes for its shape 2×2×3, found 19/],
    ['text', new TextEncoder().encode('not idx'), /text is not an idx file: .*found 6e 6f 74 20/],
    ['empty', new Uint8Array(0), /empty is not an idx file: .*an empty file/],
    ['header', idxBytes([2, 2, 3], []).subarray(0, 9), /header ends within its header: expected 16 bytes, found 9/],
    ['floats', Uint8Array.of(0, 0, 13, 1, 0, 0, 0, 0), /floats holds values of idx type 13, expected unsigned bytes/],
    ['broken.gz', gzipSync(idxBytes([1], [1])).subarray(0, 20), /broken\.gz is not a whole gzip file/],
  ])('%s: says what is wrong', (name, bytes, sentence) => {
    const error = errorOf(() => readIdx(file(name, bytes)));
    expect(error.name).toBe('UserError');
    expect(error.message).toMatch(sentence);
    expect(error.hint).toBeTruthy();
  });

  it('refuses pairs that do not belong together', () => {
    const three = file('three', idxBytes([3], [0, 1, 2]));
    expect(errorOf(() => readIdxDataset('x', images, three)).message).toMatch(/three has 3 labels, expected 2 as .*images has images/);
    expect(errorOf(() => readIdxDataset('x', three, images)).message).toMatch(/three has 1 dimensions, expected 3/);
    expect(errorOf(() => readIdx(join(folder, 'absent'))).message).toMatch(/absent does not exist/);
    expect(errorOf(() => readIdx(folder)).message).toMatch(/is a folder/);
  });
});
