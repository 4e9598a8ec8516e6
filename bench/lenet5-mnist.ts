/**
 * LeNet-5 on MNIST to a tenth of its parameters: two rows beside the paper's (0.34 % error, 90.1 % pruned, FLOPs 16.4 %) and
 * DropPruning's (0.73 %, 87 %). Row a: at least 90 % of the parameters gone (effective). Row b: also effective FLOPs ≤ 16.4 %.
 * Validation is the last 5,000 training images, the test set all 10,000 test images; nothing is chosen on the test set.
 * Training uses light affine augmentation and, after pruning, distillation from the unpruned network.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { lenet5 } from '../src/engine/architectures/lenet5';
import { BatchPipeline } from '../src/engine/data/batches';
import { locateDataset } from '../src/engine/data/locate';
import { saveModel } from '../src/engine/onnx/file';
import { Random } from '../src/engine/random';
import { startRun } from '../src/engine/search/run';
import { fitModel } from '../src/engine/training/fit';
import { type ConfigInput, configSchema } from '../src/protocol/config';
import { type BenchArguments, dataFolder, median, note, printRow, threadFiles } from './bench';

const AUGMENTATION = { rotate: 9, scale: 0.08, shift: 1 };

interface Row {
  readonly name: string;
  /** Masks of variational pruning, and how far channels are cut before. */
  readonly params: number;
  readonly targetSparsity: number;
  readonly targetFlops?: number;
  readonly epochs: number;
}

/** Channels are cut to `params` of the parameters by the agent; masks do the rest, so that both together pass 90 %. */
const ROWS: readonly Row[] = [
  { name: 'a', params: 0.5, targetSparsity: 0.81, epochs: 24 },
  { name: 'b', params: 0.5, targetSparsity: 0.81, targetFlops: 0.16, epochs: 24 },
];

export async function run(args: BenchArguments): Promise<void> {
  const data = dataFolder(args);
  const scale = Number(args.options['scale'] ?? 1);
  const rows = ROWS.filter((r) => !args.options['rows'] || args.options['rows'].split(',').includes(r.name));
  const errors = new Map<string, number[]>();
  for (let seed = Number(args.options['from'] ?? 1); seed <= args.seeds; seed++) {
    const folder = mkdtempSync(join(tmpdir(), 'espalier-bench-'));
    try {
      const started = performance.now();
      await trainBaseline(folder, data, seed, Math.round(20 * scale));
      const baseline = (performance.now() - started) / 1000;
      for (const row of rows) {
        const from = performance.now();
        const outcome = await startRun(configSchema.parse(rowConfig(row, seed, scale)), { folder, dataFolder: data, threads: threadFiles });
        const { before, after } = outcome.result;
        const error = 100 * (1 - after.accuracy);
        errors.set(row.name, [...(errors.get(row.name) ?? []), error]);
        printRow(args, {
          row: row.name,
          seed,
          error,
          paramsPruned: 100 * (1 - after.cost.effectiveParams / before.cost.params),
          flops: (100 * after.cost.effectiveMacs) / before.cost.macs,
          flopsStructured: (100 * after.cost.macs) / before.cost.macs,
          params: after.cost.effectiveParams,
          unprunedError: 100 * (1 - before.accuracy),
          seconds: baseline + (performance.now() - from) / 1000,
        });
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }
  for (const [name, values] of errors) {
    note(
      `row ${name}: median error ${median(values).toFixed(2)} % (${Math.min(...values).toFixed(2)}–${Math.max(...values).toFixed(2)}, ${values.length} seeds)`,
    );
  }
}

function rowConfig(row: Row, seed: number, scale: number): ConfigInput {
  const epochs = (n: number): number => Math.max(1, Math.round(n * scale));
  return {
    model: 'lenet5.onnx',
    data: {
      name: 'mnist',
      augmentation: AUGMENTATION,
      splits: { search: { set: 'train', from: 55_000 }, train: { set: 'train', count: 55_000 }, report: { set: 'test' } },
    },
    stages: { prune: true, quantize: false },
    goal: { params: row.params },
    search: { episodes: 40, images: 2000 },
    pruning: {
      variational: {
        enabled: true,
        epochs: epochs(3),
        retrainEpochs: epochs(row.epochs),
        targetSparsity: row.targetSparsity,
        ...(row.targetFlops === undefined ? {} : { targetFlops: row.targetFlops }),
      },
    },
    recovery: { epochs: epochs(4), learningRate: 0.05, weightDecay: 1e-4, distillation: { weight: 0.3, temperature: 3, hints: 0 } },
    seed,
  };
}

async function trainBaseline(folder: string, data: string, seed: number, epochs: number): Promise<void> {
  const source = locateDataset('mnist', { dataFolder: data });
  const random = new Random(seed);
  const pipeline = new BatchPipeline(
    { dataset: source.train!, rows: Uint32Array.from({ length: 55_000 }, (_, i) => i) },
    {
      batch: 128,
      normalization: source.normalization,
      augmentation: AUGMENTATION,
      shuffle: true,
      random: random.fork('baseline'),
      threadFile: threadFiles.augment,
    },
  );
  const { model } = await fitModel(lenet5.build({ classes: 10, random }), pipeline, {
    epochs,
    batch: 128,
    learningRate: { base: 0.05, schedule: { kind: 'cosine' } },
    momentum: 0.9,
    weightDecay: 2e-4,
  });
  await pipeline.close();
  saveModel(model, join(folder, 'lenet5.onnx'));
}
