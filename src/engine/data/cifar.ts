/**
 * The binary version of CIFAR-10 (Krizhevsky 2009; layout on the data set's page): records of 3,073 bytes, the label (0 to 9), then 1,024 bytes each of
 * red, green and blue, row by row. `data_batch_1.bin` to `data_batch_5.bin` are the training part, `test_batch.bin` the test part. A batch
 * may hold fewer than the canonical 10,000 records.
 */

import { UserError } from '../errors';
import type { Dataset } from './dataset';
import { readDataFile } from './files';

const PIXELS = 3 * 32 * 32;
const RECORD = 1 + PIXELS;
const CLASSES = 10;

/** Images [count, 3, 32, 32] and labels from CIFAR-10 batch files, in their order. */
export function readCifarDataset(name: string, paths: readonly string[]): Dataset {
  const hint = 'It should be a batch of the *binary* version of CIFAR-10; `espalier data cifar10` fetches the original.';
  const files = paths.map((path) => {
    const bytes = readDataFile(path);
    if (bytes.length === 0 || bytes.length % RECORD !== 0) {
      throw new UserError(
        `${path} should have a multiple of ${RECORD} bytes (label and 32×32 pixels in 3 colours), found ${bytes.length}.`,
        hint,
      );
    }
    return { path, bytes, records: bytes.length / RECORD };
  });
  const count = files.reduce((sum, file) => sum + file.records, 0);
  const inputs = new Uint8Array(count * PIXELS);
  const labels = new Uint8Array(count);
  let row = 0;
  for (const { path, bytes, records } of files) {
    for (let i = 0; i < records; i++, row++) {
      const label = bytes[i * RECORD];
      if (label >= CLASSES) throw new UserError(`${path} has the label ${label} in record ${i}, expected 0 to ${CLASSES - 1}.`, hint);
      labels[row] = label;
      inputs.set(bytes.subarray(i * RECORD + 1, (i + 1) * RECORD), row * PIXELS);
    }
  }
  return { name, count, shape: [3, 32, 32], inputs, labels, classes: CLASSES };
}
