import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readCifarDataset } from './cifar';
import { cifarBytes, errorOf, put, temporaryFolder } from './testing/sample-files';

const folder = temporaryFolder();

describe('CIFAR-10 batches', () => {
  it('reads the records of several files in order', () => {
    const paths = [put(join(folder, 'a.bin'), cifarBytes(3)), put(join(folder, 'b.bin'), cifarBytes(2))];
    const data = readCifarDataset('c', paths);
    expect(data).toMatchObject({ count: 5, shape: [3, 32, 32], classes: 10 });
    expect([...data.labels!]).toEqual([0, 1, 2, 0, 1]);
    expect([...data.inputs.subarray(3072, 3076)]).toEqual([1, 2, 3, 4]);
    expect(data.inputs[4 * 3072 + 3071]).toBe((1 + 3071) & 255);
  });

  it('says what is wrong', () => {
    const cut = put(join(folder, 'cut.bin'), cifarBytes(2).subarray(0, 6000));
    expect(errorOf(() => readCifarDataset('c', [cut]))).toMatchObject({
      name: 'UserError',
      message: expect.stringMatching(/cut\.bin should have a multiple of 3073 bytes .*, found 6000/),
    });
    const other = cifarBytes(2);
    other[3073] = 77;
    const labels = put(join(folder, 'labels.bin'), other);
    expect(errorOf(() => readCifarDataset('c', [labels])).message).toMatch(/labels\.bin has the label 77 in record 1, expected 0 to 9/);
  });
});
