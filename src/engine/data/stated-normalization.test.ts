/** The normalisation that a model's file states serves pixels of any source, unless the config has one. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { zipSync } from 'fflate';
import { afterAll, describe, expect, it } from 'vitest';
import { dataSchema } from '../../protocol/config/data';
import type { DataSource } from './dataset';
import { loadData } from './load';
import { readPreprocessing } from './model-preprocessing';
import { normalizations } from './normalize';
import { npyBytes, put, raw } from './testing/sample-files';

const root = mkdtempSync(join(tmpdir(), 'espalier-stated-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const stated = { mean: '0.5, 0.4, 0.3', std: '0.2', channel_order: 'BGR' };
const wanted = { scale: 1 / 255, mean: [0.5, 0.4, 0.3], std: [0.2] };
const pixels = npyBytes('|u1', [4, 3, 2, 2], new Uint8Array(48).fill(9));
const archive = (name: string, inputs: Uint8Array): string => {
  put(join(root, name), zipSync({ 'x.npy': inputs, 'y.npy': npyBytes('<i4', [4], raw(Int32Array.of(0, 1, 0, 1))) }));
  return name;
};

const read = (data: object, metadata: Record<string, string> = stated): Promise<DataSource> =>
  loadData(
    dataSchema.parse(data),
    { folder: root },
    {
      inputs: [{ name: 'image', shape: [3, 2, 2], whole: false }],
      outputs: ['scores'],
      preprocessing: readPreprocessing(new Map(Object.entries(metadata))),
    },
  );

describe('what the model states of its inputs', () => {
  it.each([
    ['an archive', () => ({ files: { test: archive('pixels.npz', pixels) } })],
    [
      'inputs alone',
      () => {
        put(join(root, 'pixels.npy'), pixels);
        return { files: { inputs: 'pixels.npy' } };
      },
    ],
  ])('is taken for pixels of %s, and said', async (_, data) => {
    const { normalization, normalizationStated, notes } = await read(data());
    expect([normalization, normalizationStated]).toEqual([wanted, true]);
    expect(notes).toEqual([
      'the model states its normalisation, which is taken: scale 0.003922, mean 0.5, 0.4, 0.3, std 0.2 (from mean, std, channel_order); the order of colours stays that of the data, though the model wants BGR; "data.normalization" goes before it',
    ]);
  });

  it('one number serves grey images; colours do not', async () => {
    const digits = { name: 'digits', digits: { train: 100, test: 100 } };
    expect((await read(digits, { mean: '0.2', std: '0.4' })).normalization).toEqual({ scale: 1 / 255, mean: [0.2], std: [0.4] });
    const { normalization, normalizationStated } = await read(digits);
    expect([normalization, normalizationStated]).toEqual([normalizations.digits, undefined]);
  });

  it('is not taken for values, nor where the config has one', async () => {
    const values = await read({ files: { test: archive('values.npz', npyBytes('<f4', [4, 3, 2, 2], raw(new Float32Array(48)))) } });
    expect([values.normalization, values.normalizationStated]).toEqual([normalizations.raw, undefined]);
    const own = await read({ files: { test: archive('pixels.npz', pixels) }, normalization: { scale: 1 } });
    expect([own.normalizationStated, own.notes]).toEqual([undefined, undefined]);
  });
});
