/** ONNX files whose weights lie in a file of their own. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lenet5 } from '../architectures/lenet5';
import { modelBytes, parseModel } from '../onnx/file';
import { saveWithExternalData } from '../onnx/testing/external-data';
import { Random } from '../random';
import { asOnnxFile, modelHash } from './registry';

const folder = mkdtempSync(join(tmpdir(), 'espalier-external-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const model = lenet5.build({ classes: 10, random: new Random(1) });
const path = join(folder, 'model.onnx');
let data: string;
beforeAll(() => {
  data = saveWithExternalData(model, path);
});

describe('weights in a file of their own', () => {
  it('are part of the hash', async () => {
    const before = await modelHash(path);
    expect(await modelHash(path)).toBe(before);
    const bytes = readFileSync(data);
    const changed = Uint8Array.from(bytes);
    changed[bytes.length - 1] ^= 1;
    writeFileSync(data, changed);
    expect(await modelHash(path)).not.toBe(before);
    writeFileSync(data, bytes);
    expect(await modelHash(path)).toBe(before);
  });

  it('are written into the one file that is measured; a file that holds its own is that file', async () => {
    const whole = join(folder, 'whole.onnx');
    expect(await asOnnxFile(path, whole)).toBe(whole);
    expect(Buffer.compare(modelBytes(parseModel(readFileSync(whole))), modelBytes(model))).toBe(0);
    expect(await asOnnxFile(whole, join(folder, 'unused.onnx'))).toBe(whole);
  });

  it('outside the folder are refused, and not hashed', async () => {
    const below = join(folder, 'below');
    mkdirSync(below);
    const away = join(below, 'away.onnx');
    saveWithExternalData(model, away, '../away.data');
    await expect(modelHash(away)).rejects.toThrow(
      /^.*away\.onnx: tensor '.*' keeps its data in '\.\.\/away\.data', outside the model's folder; this is refused$/,
    );
  });
});
