import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { build } from 'esbuild';
import { beforeAll, describe, expect, it } from 'vitest';
import { Random } from '../random';
import { BatchPipeline } from './batches';
import type { Augmentation, Batch, Dataset } from './dataset';
import { generateDigits } from './generated-digits';
import { normalizations } from './normalize';
import { wholeSplit } from './splits';
import { errorOf, temporaryFolder } from './testing/sample-files';

const counting: Dataset = {
  name: 'counting',
  count: 10,
  shape: [2],
  inputs: Uint8Array.from({ length: 20 }, (_, i) => i),
  labels: Uint8Array.from({ length: 10 }, (_, i) => i),
  classes: 10,
};
const elastic: Augmentation = { shift: 2, rotate: 10, scale: 0.1, elastic: { alpha: 34, sigma: 4 } };

async function all(pipeline: BatchPipeline, epoch: number): Promise<Batch[]> {
  const batches: Batch[] = [];
  for await (const batch of pipeline.batches(epoch)) batches.push(batch);
  return batches;
}

describe('batches', () => {
  const normalization = normalizations.raw;

  it('evaluation goes through all rows in order, with a partial batch at the end', async () => {
    const pipeline = new BatchPipeline({ dataset: counting, rows: Uint32Array.of(9, 3, 4) }, { batch: 2, normalization });
    expect([pipeline.batchesPerEpoch, pipeline.samplesPerEpoch]).toEqual([2, 3]);
    const batches = await all(pipeline, 0);
    expect(batches.map((b) => [...b.inputs])).toEqual([
      [18, 19, 6, 7],
      [8, 9],
    ]);
    expect(batches.map((b) => [...b.labels!])).toEqual([[9, 3], [4]]);
    expect(batches.map((b) => b.count)).toEqual([2, 1]);
  });

  it('training shuffles anew each epoch, keeps inputs and labels together and drops the partial batch', async () => {
    const pipeline = new BatchPipeline(wholeSplit(counting), { batch: 4, normalization, shuffle: true, random: new Random(1) });
    const orders = [];
    for (const epoch of [0, 1, 2]) {
      const batches = await all(pipeline, epoch);
      expect(batches.map((b) => b.count)).toEqual([4, 4]);
      const order = batches.flatMap((b) => [...b.labels!]);
      expect(new Set(order).size).toBe(8);
      expect(batches.flatMap((b) => [...b.inputs])).toEqual(order.flatMap((i) => [2 * i, 2 * i + 1]));
      orders.push(order.join());
    }
    expect(new Set(orders).size).toBe(3);
  });

  it('an epoch depends on the seed and its number alone', async () => {
    const make = (seed: number) => {
      const random = new Random(seed);
      const pipeline = new BatchPipeline(wholeSplit(counting), { batch: 5, normalization, shuffle: true, random });
      random.uniform();
      return pipeline;
    };
    const [one, other] = [make(1), make(1)];
    await all(one, 0);
    for await (const _ of one.batches(1)) break;
    expect(await all(one, 2)).toEqual(await all(other, 2));
    expect(await all(make(2), 2)).not.toEqual(await all(other, 2));
  });

  it('unlabelled data give unlabelled batches', async () => {
    const [batch] = await all(new BatchPipeline(wholeSplit({ ...counting, labels: undefined }), { batch: 10, normalization }), 0);
    expect(batch.labels).toBeUndefined();
  });

  it('refuses a batch size that cannot work', () => {
    const make = (batch: number, shuffle = false) =>
      new BatchPipeline(wholeSplit(counting), { batch, normalization, shuffle, random: new Random(1) });
    expect(errorOf(() => make(11, true)).message).toMatch(/split of counting has 10 rows, fewer than one batch of 11/);
    expect(make(11).batchesPerEpoch).toBe(1);
    expect(errorOf(() => make(0)).message).toMatch(/batch size is 0/);
  });
});

describe('the augmentation thread', () => {
  const digits = generateDigits({ count: 70, seed: 2 });
  const split = { dataset: digits, rows: Uint32Array.from({ length: 64 }, (_, i) => i + 6) };
  const options = { batch: 16, normalization: normalizations.digits, augmentation: elastic, shuffle: true };
  let threadFile: string;

  beforeAll(async () => {
    threadFile = join(temporaryFolder(), 'augment-thread.cjs');
    await build({
      entryPoints: [join(import.meta.dirname, 'augment-thread.ts')],
      bundle: true,
      platform: 'node',
      outfile: threadFile,
      logLevel: 'error',
    });
  });

  it.each([
    ['bytes', digits],
    ['floats', { ...digits, inputs: Float32Array.from(digits.inputs) }],
  ])('makes the very same batches of %s', async (_, dataset) => {
    const here = new BatchPipeline({ ...split, dataset }, { ...options, random: new Random(5) });
    const there = new BatchPipeline({ ...split, dataset }, { ...options, random: new Random(5), threadFile });
    for (const epoch of [0, 1]) expect(await all(there, epoch)).toEqual(await all(here, epoch));
    await there.close();
    expect(await all(there, 0), 'after close').toEqual(await all(here, 0));
  });

  it('goes on after a loop that was left early, and with two epochs at a time', async () => {
    const here = new BatchPipeline(split, { ...options, random: new Random(5) });
    const there = new BatchPipeline(split, { ...options, random: new Random(5), threadFile });
    for await (const _ of there.batches(0)) break;
    const [a, b] = await Promise.all([all(there, 1), all(there, 2)]);
    expect([a, b]).toEqual([await all(here, 1), await all(here, 2)]);
    await there.close();
  });

  it('keeps the process alive while it is closed, where nothing else does', async () => {
    const script = join(temporaryFolder(), 'close.cjs');
    await build({
      stdin: {
        contents: `
          import { BatchPipeline } from './batches';
          import { Random } from '../random';
          const dataset = { name: 'd', count: 8, shape: [1, 8, 8], inputs: new Uint8Array(512), labels: new Uint8Array(8), classes: 2 };
          (async () => {
            const pipeline = new BatchPipeline(
              { dataset, rows: Uint32Array.from([0, 1, 2, 3]) },
              { batch: 2, normalization: { scale: 1, mean: [0], std: [1] }, augmentation: { rotate: 10 }, random: new Random(1), threadFile: ${JSON.stringify(threadFile)} },
            );
            for await (const _ of pipeline.batches(0)) break;
            await pipeline.close();
            console.log('closed');
          })();
        `,
        resolveDir: import.meta.dirname,
        loader: 'ts',
      },
      bundle: true,
      platform: 'node',
      outfile: script,
      logLevel: 'error',
    });
    expect(spawnSync(process.execPath, [script], { encoding: 'utf8' })).toMatchObject({ status: 0, stdout: 'closed\n', stderr: '' });
  });

  it('that cannot start is an error, not a wait without end', async () => {
    const pipeline = new BatchPipeline(split, { ...options, random: new Random(5), threadFile: join(temporaryFolder(), 'absent.cjs') });
    await expect(all(pipeline, 0)).rejects.toThrow(/absent\.cjs/);
    await expect(all(pipeline, 1)).rejects.toThrow(/absent\.cjs/);
    await pipeline.close();
  });
});
