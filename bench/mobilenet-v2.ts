/**
 * MobileNet-v2 without labels at a share of its FLOPs: the search sees half of the sample images and no label; the other half says how often the compressed
 * network answers as the original does, and, by their labels, how often each is right. Of the search's half three quarters are what layers are fitted to, and
 * the others score candidates. The agent stands beside uniform pruning at one budget of scorings, each over all layers (`pruning.wide` "prune") and, `kept`, with
 * those left whole that have more channels than so few images can say anything about, as runs do of themselves. Training (`--epochs`) follows the original's answers alone. The weights of this file lie on an
 * 8-bit grid already, so only pruning is measured.
 *
 * Options: --images (of the search), --flops, --scorings, --methods, --seeds, --keep all,kept, --epochs, --rate, --hints, --model v1|v2.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { EPISODES_PER_SCORING } from '../src/engine/compare/cell';
import { loadModel } from '../src/engine/onnx/file';
import { accuracyOf } from '../src/engine/runtime/evaluate';
import { prepare } from '../src/engine/search/prepare';
import { startRun } from '../src/engine/search/run';
import { groupsTooWideFor } from '../src/engine/search/wide-groups';
import { type Config, configSchema } from '../src/protocol/config';
import { type BenchArguments, dataFolder, median, note, printRow, threadFiles } from './bench';

const METHODS = ['uniform', 'episodic-ppo'];
const FILES: Readonly<Record<string, string>> = {
  v2: 'imagenet_mobilenetv2_1.0_224_qat.onnx',
  v1: 'imagenet_mobilenetv1_0.25_128_qat.onnx',
};
/** Pixels from −1 to 1, as the network was trained with. */
const NORMALIZATION = { scale: 1 / 255, mean: [0.5], std: [0.5] };

export async function run(args: BenchArguments): Promise<void> {
  const data = dataFolder(args);
  const option = (name: string, otherwise: number): number => Number(args.options[name] ?? otherwise);
  const [flops, scorings, seeds] = [option('flops', 0.7), option('scorings', 20), option('seeds', 1)];
  const [images, actors] = [option('images', 250), option('actors', 2)];
  const methods = args.options['methods']?.split(',') ?? METHODS;
  const kinds = args.options['keep']?.split(',') ?? ['all', 'kept'];
  const tuning: Tuning = { epochs: option('epochs', 0), learningRate: option('rate', 1e-4), hints: option('hints', 5) };
  const model = join(data, 'models', FILES[args.options['model'] ?? 'v2'] ?? args.options['model']);
  const folder = join(data, 'imagenet-samples');
  const work = mkdtempSync(join(tmpdir(), 'espalier-bench-'));
  try {
    const fitted = Math.floor((3 * images) / 4);
    const calibration = { set: 'test', from: 0, count: fitted };
    const parts = {
      calibration,
      train: calibration,
      search: { set: 'test', from: fitted, count: images - fitted },
      report: { set: 'test', from: images },
    };
    const labelled = await prepare(
      configSchema.parse({ model, data: { files: { test: folder }, normalization: NORMALIZATION, splits: parts }, method: 'uniform' }),
      { folder: work },
    );
    const { report } = labelled.data;
    const wide = groupsTooWideFor(fitted, labelled.groups).map((g) => g.id);
    const before = 100 * (await accuracyOf(labelled.model, report));
    note(`${cpus()[0]?.model.trim()}, ${availableParallelism()} cores; original: top-1 ${before.toFixed(1)} % of ${report.count} images`);
    const found = new Map<string, number[]>();
    note(`layers are fitted to ${fitted} images, candidates scored on ${images - fitted} others; kept: ${wide.join(', ') || 'none'}`);
    for (let seed = 1; seed <= seeds; seed++) {
      for (const [method, kind] of methods.flatMap((m) => kinds.map((k) => [m, k] as const))) {
        const started = performance.now();
        const cut = kind === 'kept' ? 'auto' : 'prune';
        const outcome = await startRun(searchConfig({ model, folder, parts, method, wide: cut, flops, scorings, actors, seed, tuning }), {
          folder: work,
          threads: threadFiles,
        });
        const { before: original, after } = outcome.result;
        const top1 = 100 * (await accuracyOf(loadModel(after.path), report));
        const name = `${method}, ${kind}`;
        found.set(name, [...(found.get(name) ?? []), 100 * after.accuracy]);
        const speedup = (batch: number): number =>
          (original.latency.find((l) => l.batch === batch)?.median ?? Number.NaN) /
          (after.latency.find((l) => l.batch === batch)?.median ?? Number.NaN);
        printRow(args, {
          method,
          layers: kind,
          epochs: tuning.epochs,
          seed,
          agreement: 100 * after.accuracy,
          top1,
          originalTop1: before,
          flops: (100 * after.cost.macs) / original.cost.macs,
          params: (100 * after.cost.params) / original.cost.params,
          fittedImages: fitted,
          scoringImages: images - fitted,
          reportImages: report.count,
          scorings: outcome.scorings.prune.scorings,
          seconds: (performance.now() - started) / 1000,
          speedup1: speedup(1),
          speedup32: speedup(32),
        });
      }
    }
    for (const [method, agreements] of found)
      note(`${method}: median agreement ${median(agreements).toFixed(1)} % (${agreements.length} seeds)`);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

interface Tuning {
  readonly epochs: number;
  readonly learningRate: number;
  readonly hints: number;
}

interface SearchSettings {
  readonly model: string;
  readonly folder: string;
  readonly parts: object;
  readonly method: string;
  readonly wide: 'auto' | 'prune';
  readonly flops: number;
  readonly scorings: number;
  readonly actors: number;
  readonly seed: number;
  readonly tuning: Tuning;
}

function searchConfig({ model, folder, parts, method, wide, flops, scorings, actors, seed, tuning }: SearchSettings): Config {
  return configSchema.parse({
    model,
    data: { files: { inputs: folder }, normalization: NORMALIZATION, splits: parts, augmentation: { flip: true, crop: 16 } },
    method,
    // Few images: more places of each than of many, and no layer rebuilt that reads nothing pruned.
    pruning: { positions: 20, refit: false, wide, final: { positions: 40 } },
    stages: { prune: true, quantize: false },
    goal: { flops },
    reward: 'accuracy',
    search: { episodes: EPISODES_PER_SCORING * scorings, scorings, actors },
    recovery: {
      epochs: tuning.epochs,
      learningRate: tuning.learningRate,
      batch: 23,
      weightDecay: 0,
      distillation: { temperature: 2, hints: tuning.hints },
    },
    seed,
  });
}
