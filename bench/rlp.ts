/**
 * RLP on LeNet-5 and MNIST at four drop bounds, the whole network layer by layer (the paper's Table 1 has the same bounds): parameters and
 * FLOPs left, accuracy on all 10,000 test images; medians over seeds. Candidates are scored on the last 2,000 training images, fine-tuning
 * uses the first 10,000. Options: `--episodes 600`, `--bounds 0.5,1,2,3` (in points), `--variant entire`.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startRun } from '../src/engine/search/run';
import { trainBaseline } from '../src/engine/search/train-baseline';
import { type ConfigInput, configSchema } from '../src/protocol/config';
import { type BenchArguments, dataFolder, median, note, printRow, threadFiles } from './bench';

const SPLITS = {
  search: { set: 'train', from: -2000 },
  train: { set: 'train', count: 10_000 },
  report: { set: 'test' },
} as const;

export async function run(args: BenchArguments): Promise<void> {
  const data = dataFolder(args);
  const { options } = args;
  const bounds = (options['bounds'] ?? '0.5,1,2,3').split(',').map(Number);
  const found = new Map<number, Array<{ params: number; flops: number; accuracy: number; drop: number }>>();
  for (let seed = Number(options['from'] ?? 1); seed <= args.seeds; seed++) {
    const work = mkdtempSync(join(tmpdir(), 'espalier-bench-'));
    try {
      const base: ConfigInput = {
        model: 'lenet5.onnx',
        data: { name: 'mnist', splits: SPLITS },
        train: { architecture: 'lenet5', epochs: 12, learningRate: 0.05 },
        seed,
      };
      await trainBaseline(configSchema.parse(base), { folder: work, dataFolder: data });
      for (const bound of bounds) {
        const started = performance.now();
        const config = configSchema.parse({
          ...base,
          // More updates for the few episodes there are than the defaults make.
          method: { name: 'rlp', options: { variant: options['variant'] ?? 'entire', samples: 4, learningRate: 0.03 } },
          stages: { prune: true, quantize: false },
          goal: { maxAccuracyDrop: bound / 100 },
          search: { episodes: Number(options['episodes'] ?? 600), actors: 2 },
          recovery: { epochs: 0, distillation: { weight: 0 } },
        });
        const { result, scorings } = await startRun(config, { folder: work, dataFolder: data, threads: threadFiles });
        const { before, after } = result;
        const row = {
          params: (100 * after.cost.params) / before.cost.params,
          flops: (100 * after.cost.macs) / before.cost.macs,
          accuracy: 100 * after.accuracy,
          drop: 100 * (before.accuracy - after.accuracy),
        };
        found.set(bound, [...(found.get(bound) ?? []), row]);
        printRow(args, {
          bound,
          seed,
          ...row,
          filters: Object.entries(result.candidate.policy.channels ?? {})
            .map(([id, gone]) => `${id}-${gone.length}`)
            .join(' '),
          scorings: scorings.prune.scorings,
          seconds: (performance.now() - started) / 1000,
        });
      }
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }
  for (const [bound, rows] of found) {
    const middle = (of: (r: (typeof rows)[number]) => number): string => median(rows.map(of)).toFixed(2);
    note(
      `b = ${bound}: median of ${rows.length} seeds: parameters ${middle((r) => r.params)} %, FLOPs ${middle((r) => r.flops)} %, accuracy ${middle((r) => r.accuracy)} % (drop ${middle((r) => r.drop)})`,
    );
  }
}
