/**
 * A recurrent network compressed by the same search as the convolutional ones: MNIST images read row by row by an LSTM of 128 units
 * (`lstm-rows`), trained here, then at most half of its hidden units and 4 bits a weight on average (input weights, recurrent weights and
 * classifier each have their own), its error beside the original's.
 * Candidates are scored on the last 5,000 training images, of which the search takes 2,000; both errors are of all 10,000 test images, from
 * the written files. Nothing is chosen on them.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lstmRows } from '../src/engine/architectures/lstm-rows';
import { BatchPipeline } from '../src/engine/data/batches';
import { locateDataset } from '../src/engine/data/locate';
import { findChannelGroups } from '../src/engine/graph/channel-groups';
import { costAfter } from '../src/engine/graph/costs';
import { saveModel } from '../src/engine/onnx/file';
import type { Model } from '../src/engine/onnx/model';
import { Random } from '../src/engine/random';
import { startRun } from '../src/engine/search/run';
import { fitModel } from '../src/engine/training/fit';
import { type ConfigInput, configSchema } from '../src/protocol/config';
import { type BenchArguments, dataFolder, median, note, printRow, threadFiles } from './bench';

const TRAINED_ON = 55_000;
/** The average holds over all three weights, so that none of them is kept at 8 bits whatever the search finds. */
const ANY_BITS = { minBits: 2, maxBits: 8 };

export async function run(args: BenchArguments): Promise<void> {
  const data = dataFolder(args);
  const share = Number(args.options['units'] ?? 0.5);
  const bits = Number(args.options['bits'] ?? 4);
  const [epochs, recovery] = [Number(args.options['epochs'] ?? 3), Number(args.options['recovery'] ?? 1)];
  const errors: Array<{ before: number; after: number }> = [];
  for (let seed = Number(args.options['from'] ?? 1); seed <= args.seeds; seed++) {
    const folder = mkdtempSync(join(tmpdir(), 'espalier-bench-'));
    try {
      const started = performance.now();
      const model = await trainBaseline(folder, data, seed, epochs);
      const trained = performance.now();
      const config = compression(model, share, bits, recovery, seed);
      const { result, scorings } = await startRun(configSchema.parse(config), { folder, dataFolder: data, threads: threadFiles });
      const { before, after, layers } = result;
      const percent = (kind: 'params' | 'macs'): number => (100 * after.cost[kind]) / before.cost[kind];
      errors.push({ before: 100 * (1 - before.accuracy), after: 100 * (1 - after.accuracy) });
      const stored = layers.reduce((sum, l) => sum + l.params, 0);
      printRow(args, {
        seed,
        error: 100 * (1 - after.accuracy),
        originalError: 100 * (1 - before.accuracy),
        images: after.images,
        units: layers.find((l) => l.name === 'lstm')!.channelsAfter / 4,
        originalUnits: layers.find((l) => l.name === 'lstm')!.channelsBefore / 4,
        meanBits: layers.reduce((sum, l) => sum + l.bits * l.params, 0) / stored,
        bits: layers.map((l) => `${l.name} ${l.bits}`).join(', '),
        params: percent('params'),
        flops: percent('macs'),
        weightBytes: (100 * after.cost.weightBytes) / before.cost.weightBytes,
        brotliBytes: (100 * after.cost.brotliBytes!) / before.cost.brotliBytes!,
        scorings: scorings.prune.scorings + scorings.quantize.scorings,
        epochs,
        recoveryEpochs: recovery,
        trainingSeconds: (trained - started) / 1000,
        seconds: (performance.now() - trained) / 1000,
      });
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  const middle = (pick: (e: (typeof errors)[number]) => number): string => median(errors.map(pick)).toFixed(2);
  note(
    `median error ${middle((e) => e.after)} %, of the original ${middle((e) => e.before)} % (${errors.length} seeds, 10,000 test images)`,
  );
}

/** At most this share of the units, and so many bits a weight on average. */
function compression(model: Model, share: number, bits: number, epochs: number, seed: number): ConfigInput {
  const { groups } = findChannelGroups(model);
  const unit = groups.find((g) => g.id === 'lstm')!;
  const after = costAfter(model, groups);
  const params = after({ lstm: Math.round(unit.channels * share) }).params / after({}).params;
  return {
    model: 'lstm.onnx',
    data: {
      name: 'mnist',
      splits: { search: { set: 'train', from: TRAINED_ON }, train: { set: 'train', count: TRAINED_ON }, report: { set: 'test' } },
    },
    goal: { params },
    search: { episodes: 20, images: 2000 },
    quantization: { averageBits: bits, first: ANY_BITS, last: ANY_BITS, epochs, learningRate: 0.01, activations: 'float' },
    recovery: { epochs, learningRate: 0.05, distillation: { weight: 0.5, temperature: 3 } },
    seed,
  };
}

async function trainBaseline(folder: string, data: string, seed: number, epochs: number): Promise<Model> {
  const source = locateDataset('mnist', { dataFolder: data });
  const random = new Random(seed);
  const pipeline = new BatchPipeline(
    { dataset: source.train!, rows: Uint32Array.from({ length: TRAINED_ON }, (_, i) => i) },
    { batch: 128, normalization: source.normalization, shuffle: true, random: random.fork('baseline'), threadFile: threadFiles.augment },
  );
  const { model } = await fitModel(lstmRows.build({ classes: 10, random }), pipeline, {
    epochs,
    batch: 128,
    learningRate: { base: 0.1, schedule: { kind: 'cosine' } },
    momentum: 0.9,
    onProgress: ({ step, steps, loss, secondsLeft }) => {
      if (step % 100 === 0) note(`training: step ${step} of ${steps}, loss ${loss.toFixed(3)}, ${Math.round(secondsLeft)} s left`);
    },
  });
  await pipeline.close();
  saveModel(model, join(folder, 'lstm.onnx'));
  return model;
}
