import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { lenet300100 } from '../architectures/lenet-300-100';
import { lenet5 } from '../architectures/lenet5';
import { quantizableLayers } from '../graph/layers';
import { Random } from '../random';
import { loadMasks, saveMasks } from './mask-file';

const folder = mkdtempSync(join(tmpdir(), 'espalier-mask-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const path = join(folder, 'mask.json');
const random = new Random(1);
const model = lenet300100.build({ classes: 10, random });
const layers = quantizableLayers(model);
const masks = new Map(
  layers.map((l) => {
    const { size } = model.graph.initializers.get(l.weight)!;
    return [l.weight, Float32Array.from({ length: size }, () => (random.uniform() < 0.2 ? 1 : 0))];
  }),
);
saveMasks(path, model, layers, masks, { method: 'test', seed: 1 });

test('what is saved is read again', () => {
  const read = loadMasks(path, model, layers);
  expect([...read.keys()]).toEqual([...masks.keys()]);
  for (const [name, mask] of masks) expect(Buffer.compare(Buffer.from(read.get(name)!.buffer), Buffer.from(mask.buffer))).toBe(0);
});

test('another architecture, a damaged file, another file, no file: a sentence each', () => {
  const other = lenet5.build({ classes: 10, random });
  expect(() => loadMasks(path, other, quantizableLayers(other))).toThrow(
    "has a layer 'fc1' of shape [300, 784], and the model has it with [120, 400]",
  );
  const text = readFileSync(path, 'utf8');
  const damaged = join(folder, 'damaged.json');
  writeFileSync(damaged, text.replace(/"kept": \d+/, '"kept": 7'));
  expect(() => loadMasks(damaged, model, layers)).toThrow("the mask of 'fc1' does not hold what it says");
  for (const wrong of ['{', '{}', text.replace('espalier-mask-1', 'espalier-mask-9')]) {
    writeFileSync(damaged, wrong);
    expect(() => loadMasks(damaged, model, layers)).toThrow('is no mask that Espalier wrote');
  }
  expect(() => loadMasks(join(folder, 'none.json'), model, layers)).toThrow('cannot read the mask');
});
