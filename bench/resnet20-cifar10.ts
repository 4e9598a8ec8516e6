/**
 * ResNet-20 on CIFAR-10 at a share of its FLOPs: the agent beside uniform pruning and random search at one budget of scorings,
 * without training, then the chosen networks after 1 and 3 epochs of fine-tuning.
 * Searches score on the first 2,000 test images; every accuracy printed is of the other 3,000, from the written file.
 * Options: `--flops 0.5`, `--scorings 80`, `--from 1 --seeds 5` (first and last seed), `--methods`, `--model`, `--training false`, `--optimizer sgd`
 * (default muon).
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { EPISODES_PER_SCORING } from '../src/engine/compare/cell';
import { countCosts } from '../src/engine/graph/costs';
import { forRuntimes } from '../src/engine/graph/passes/for-runtimes';
import { loadModel, modelBytes } from '../src/engine/onnx/file';
import { accuracyOf } from '../src/engine/runtime/evaluate';
import { measureLatency } from '../src/engine/runtime/latency';
import { prepare } from '../src/engine/search/prepare';
import { startRun } from '../src/engine/search/run';
import { type Config, configSchema } from '../src/protocol/config';
import { type BenchArguments, dataFolder, IMAGENET, median, note, printRow, threadFiles } from './bench';
import { fineTuned } from './fine-tune';

const METHODS = ['uniform', 'random-search', 'episodic-ppo', 'two-stage-ppo'] as const;
/** The agent's network is trained first, then those it is compared with. */
const TRAINED = ['episodic-ppo', 'uniform', 'random-search'];

export async function run(args: BenchArguments): Promise<void> {
  const data = dataFolder(args);
  const flops = Number(args.options['flops'] ?? 0.5);
  const scorings = Number(args.options['scorings'] ?? 80);
  const seeds = Number(args.options['seeds'] ?? 5);
  const from = Number(args.options['from'] ?? 1);
  const methods = (args.options['methods']?.split(',') ?? METHODS) as readonly string[];
  const file = join(data, 'models', args.options['model'] ?? 'cifar10_resnet20.onnx');
  const work = mkdtempSync(join(tmpdir(), 'espalier-bench-'));
  const results = new Map<string, number[]>();
  const firstSeed = new Map<string, string>();
  try {
    for (let seed = from; seed <= seeds; seed++) {
      for (const method of methods) {
        const config = searchConfig(file, method, flops, scorings, seed);
        const started = performance.now();
        const outcome = await startRun(config, { folder: work, dataFolder: data, threads: threadFiles });
        const { before, after } = outcome.result;
        results.set(method, [...(results.get(method) ?? []), 100 * after.accuracy]);
        if (seed === 1) firstSeed.set(method, join(outcome.folder, 'best', 'pruned-untrained.onnx'));
        const speedup = (batch: number): number =>
          (before.latency.find((l) => l.batch === batch)?.median ?? 0) / (after.latency.find((l) => l.batch === batch)?.median ?? 1);
        printRow(args, {
          method,
          seed,
          phase: 'search',
          accuracy: 100 * after.accuracy,
          flops: (100 * after.cost.macs) / before.cost.macs,
          scorings: outcome.scorings.prune.scorings,
          completePolicies: outcome.scorings.prune.completePolicies,
          updates: outcome.scorings.prune.updates,
          seconds: (performance.now() - started) / 1000,
          speedup1: speedup(1),
          speedup32: speedup(32),
        });
      }
    }
    summarize(results);
    if (args.options['training'] === 'false') return;
    for (const method of TRAINED) if (firstSeed.has(method)) await fineTune(args, file, data, method, firstSeed.get(method)!);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function searchConfig(model: string, method: string, flops: number, scorings: number, seed: number): Config {
  return configSchema.parse({
    model,
    data: { name: 'cifar10', normalization: IMAGENET },
    method,
    stages: { prune: true, quantize: false },
    goal: { flops },
    reward: 'accuracy',
    pruning: { reestimateBatchNorm: false },
    search: { episodes: EPISODES_PER_SCORING * scorings, scorings, actors: 2 },
    recovery: { epochs: 0 },
    seed,
  });
}

/**
 * The chosen network of seed 1 after 1 and 3 epochs: distillation with hints from the original, Muon, cosine schedule. The original is all but
 * certain of every image that it was trained on; cropped a little and in other light it doubts more of them, as it does images that it has not seen.
 */
async function fineTune(args: BenchArguments, file: string, data: string, method: string, pruned: string): Promise<void> {
  const optimizer = args.options['optimizer'] === 'sgd' ? 'sgd' : 'muon';
  for (const epochs of [1, 3]) {
    const config = configSchema.parse({
      model: file,
      data: { name: 'cifar10', normalization: IMAGENET, augmentation: { flip: true, crop: 2, jitter: 0.15 } },
      recovery: {
        epochs,
        optimizer,
        learningRate: 0.03,
        momentum: optimizer === 'muon' ? 0.95 : 0.9,
        // Of images that it doubts, the labels know more than the original.
        distillation: { weight: 0.5, temperature: 2, hints: 100 },
      },
    });
    const prepared = await prepare(config, { folder: '.', dataFolder: data });
    const started = performance.now();
    const { model } = await fineTuned(loadModel(pruned), config, data);
    const accuracy = await accuracyOf(model, prepared.data.report);
    const seconds = (performance.now() - started) / 1000;
    const files = [readFileSync(file), modelBytes(forRuntimes(model))];
    const speedup = async (batch: number): Promise<number> => {
      const [before, after] = await measureLatency(files, prepared.data.shape, batch);
      return (before?.median ?? Number.NaN) / (after?.median ?? Number.NaN);
    };
    printRow(args, {
      method,
      seed: 1,
      phase: `epoch${epochs}`,
      accuracy: 100 * accuracy,
      flops: (100 * countCosts(model).macs) / prepared.costs.macs,
      // Fine-tuning scores no candidate.
      scorings: 0,
      seconds,
      speedup1: await speedup(1),
      speedup32: await speedup(32),
    });
  }
}

function summarize(results: ReadonlyMap<string, readonly number[]>): void {
  const random = results.get('random-search');
  for (const [method, accuracies] of results) {
    const spread = `${Math.min(...accuracies).toFixed(2)}–${Math.max(...accuracies).toFixed(2)}`;
    const wins =
      random && method !== 'random-search'
        ? `; better than random search in ${accuracies.filter((a, i) => a > random[i]).length} of ${accuracies.length} paired seeds`
        : '';
    note(`${method}: median ${median(accuracies).toFixed(2)} % (${spread}, ${accuracies.length} seeds)${wins}`);
  }
}
