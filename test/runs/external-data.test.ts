/** A model whose weights lie in a file of their own, from end to end. */
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { evaluate } from '../../src/cli/commands/evaluate';
import { loadModel } from '../../src/engine/onnx/file';
import { saveWithExternalData } from '../../src/engine/onnx/testing/external-data';
import { resumeRun, startRun } from '../../src/engine/search/run';
import { trainBaseline } from '../../src/engine/search/train-baseline';
import { onlyRun } from './fixtures/outcome';
import { shortConfig, shortInput, workFolder } from './fixtures/short-run';

const root = workFolder('external');
afterAll(() => rmSync(root, { recursive: true, force: true }));
const path = join(root, 'external.onnx');
const config = shortConfig({
  model: 'external.onnx',
  method: 'uniform',
  search: { episodes: 1, actors: 1 },
  recovery: { epochs: 0 },
  quantization: { ...shortInput.quantization, epochs: 0, steTuning: 0 },
});
let whole: string;
let data: string;
beforeAll(async () => {
  whole = (await trainBaseline(shortConfig(), { folder: root })).path;
  data = saveWithExternalData(loadModel(whole), path);
}, 60_000);

test('the run ends; the original is measured with its weights', async () => {
  const { result } = await startRun({ ...config, output: { ...config.output, folder: 'whole-runs' } }, { folder: root });
  const { before, after } = result;
  expect(Math.abs(before.cost.fileBytes! / statSync(whole).size - 1)).toBeLessThan(0.01);
  expect(before.latency.map((l) => l.batch)).toEqual([1, 32]);
  expect(after.cost.fileBytes!).toBeLessThan(before.cost.fileBytes!);
});

test('a run is not resumed with other weights', async () => {
  const controller = new AbortController();
  const stop = startRun(config, {
    folder: root,
    signal: controller.signal,
    listener: (e) => e.type === 'candidate' && controller.abort(new Error('stop')),
  });
  await expect(stop).rejects.toThrow('stop');
  const bytes = readFileSync(data);
  const changed = Uint8Array.from(bytes);
  changed[0] ^= 1;
  writeFileSync(data, changed);
  await expect(resumeRun(onlyRun(root), {})).rejects.toThrow(/external\.onnx has changed since the run began/);
  writeFileSync(data, bytes);
  await resumeRun(onlyRun(root), {});
});

test('evaluate measures it as it does one with its weights inside', async () => {
  const figures = async (model: string): Promise<{ accuracy: number; latency: object[]; cost: { fileBytes: number } }> => {
    let text = '';
    const write = vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
      text += String(chunk);
      return true;
    });
    try {
      await evaluate(model, { data: ['digits'], set: ['data.digits={"train":100,"test":100}', 'threads=1'], json: true });
    } finally {
      write.mockRestore();
    }
    return JSON.parse(text);
  };
  const [inside, outside] = [await figures(whole), await figures(path)];
  expect(outside.accuracy).toBe(inside.accuracy);
  expect(outside.latency).toHaveLength(2);
  expect(Math.abs(outside.cost.fileBytes / inside.cost.fileBytes - 1)).toBeLessThan(0.01);
});
