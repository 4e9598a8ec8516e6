/**
 * PuRL on ResNet-20 and CIFAR-10: sparsity and accuracy after at most 55 episodes (the number of the paper's Table 1) and fine-tuning with
 * the masks held. Searches score on the first 2,000 test images (`--images` of them); every accuracy printed is of the other 3,000, from
 * the written file. Options: `--episodes 55`, `--images 400`, `--params 0.2` (share of the parameters that may stay), `--epochs 6`.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadModel } from '../src/engine/onnx/file';
import { accuracyOf } from '../src/engine/runtime/evaluate';
import { prepare } from '../src/engine/search/prepare';
import { startRun } from '../src/engine/search/run';
import { configSchema } from '../src/protocol/config';
import type { RunEvent } from '../src/protocol/run-events';
import { type BenchArguments, dataFolder, IMAGENET, note, printRow, threadFiles } from './bench';

export async function run(args: BenchArguments): Promise<void> {
  const data = dataFolder(args);
  const { options } = args;
  const model = join(data, 'models', options['model'] ?? 'cifar10_resnet20.onnx');
  const work = mkdtempSync(join(tmpdir(), 'espalier-bench-'));
  const seeds = Number(options['seeds'] ?? 1);
  try {
    for (let seed = Number(options['from'] ?? 1); seed <= seeds; seed++) {
      const config = configSchema.parse({
        model,
        data: { name: 'cifar10', normalization: IMAGENET, augmentation: { crop: 4, flip: true } },
        method: {
          name: options['method'] ?? 'purl',
          options: { tuneSteps: Number(options['tune-steps'] ?? 2), tuneBatch: 32, tuneRate: 0.005 },
        },
        stages: { prune: true, quantize: false },
        goal: { params: Number(options['params'] ?? 0.2), maxAccuracyDrop: 0.02 },
        search: { episodes: Number(options['episodes'] ?? 55) - 1, actors: 2, images: Number(options['images'] ?? 400) },
        recovery: { epochs: Number(options['epochs'] ?? 6), learningRate: 0.03, distillation: { weight: 1, temperature: 4, hints: 100 } },
        seed,
      });
      const started = performance.now();
      let searched = 0;
      const outcome = await startRun(config, {
        folder: work,
        dataFolder: data,
        threads: threadFiles,
        listener: (e: RunEvent) => {
          if (e.type === 'phase' && e.phase === 'recover') searched = performance.now() - started;
          if (e.type === 'checkpoint' && e.episode % 10 === 0)
            note(`seed ${seed}: ${e.episode} episodes, ${Math.round((performance.now() - started) / 1000)} s`);
        },
      });
      const { before, after } = outcome.result;
      const prepared = await prepare(config, { folder: work, dataFolder: data });
      const untuned = await accuracyOf(loadModel(join(outcome.folder, 'best', 'pruned-untrained.onnx')), prepared.data.report);
      const episodes = readFileSync(join(outcome.folder, 'journal.jsonl'), 'utf8').match(/"type":"episode"/g)?.length ?? 0;
      printRow(args, {
        method: config.method.name,
        seed,
        sparsity: 100 * (1 - after.cost.effectiveParams / before.cost.params),
        accuracy: 100 * after.accuracy,
        drop: 100 * (before.accuracy - after.accuracy),
        beforeFineTuning: 100 * untuned,
        original: 100 * before.accuracy,
        effectiveFlops: (100 * after.cost.effectiveMacs) / before.cost.macs,
        structuredFlops: (100 * after.cost.macs) / before.cost.macs,
        episodes,
        scorings: outcome.scorings.prune.scorings,
        searchSeconds: searched / 1000,
        seconds: (performance.now() - started) / 1000,
        layers: Object.values(outcome.result.candidate.policy.sparsity ?? {})
          .map((s) => s.toFixed(2))
          .join(' '),
      });
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
