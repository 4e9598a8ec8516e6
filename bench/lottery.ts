/**
 * Lottery tickets: LeNet-300-100 on MNIST. Rows deleted by tabular Q-learning (lottery-mdp) beside iterative magnitude pruning of single
 * weights (lottery-ticket) at the same sparsity, each beside a random mask of its own kind; then the masks on Fashion-MNIST, whose own
 * weights they are trained from, beside random masks. All trainings are equal: epochs, batches, learning rate, initial weights of the seed.
 * The search scores on 1,000 images of the training set; figures are of images that neither training nor search sees.
 */
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { locateDataset } from '../src/engine/data/locate';
import { startRun } from '../src/engine/search/run';
import type { TicketFigures } from '../src/engine/search/ticket-training';
import { trainBaseline } from '../src/engine/search/train-baseline';
import { type Config, type ConfigInput, configSchema } from '../src/protocol/config';
import { type BenchArguments, dataFolder, note, printRow, threadFiles } from './bench';

/** Images that score a search, and as many more of the figures. */
const HELD_OUT = 5_000;

export interface LotterySettings {
  readonly images: number;
  readonly epochs: number;
  readonly episodes: number;
  readonly rounds: number;
  readonly sparsity: number;
}

export const lotterySettings = ({ options }: BenchArguments): LotterySettings => ({
  images: Number(options['images'] ?? 50_000),
  epochs: Number(options['epochs'] ?? 4),
  episodes: Number(options['episodes'] ?? 150),
  rounds: Number(options['rounds'] ?? 4),
  sparsity: Number(options['sparsity'] ?? 0.8),
});

export interface LotteryRow extends TicketFigures {
  readonly row: 'mdp' | 'magnitude' | 'mdp transferred' | 'magnitude transferred';
  readonly seconds: number;
}

/** The four rows of one seed. */
export async function lotteryRows(data: string, seed: number, settings: LotterySettings): Promise<LotteryRow[]> {
  const folder = mkdtempSync(join(tmpdir(), 'espalier-lottery-'));
  const rows: LotteryRow[] = [];
  const config = (name: 'mnist' | 'fashion-mnist', method: ConfigInput['method']): Config =>
    configSchema.parse({
      model: `${name}.onnx`,
      data: {
        name,
        splits: {
          // Not every copy of Fashion-MNIST has its test set: the last training images serve both data sets alike.
          search: { set: 'train', from: -2 * HELD_OUT, count: HELD_OUT },
          report: { set: 'train', from: -HELD_OUT },
          train: { set: 'train', count: Math.min(settings.images, locateDataset(name, { dataFolder: data }).train!.count - 2 * HELD_OUT) },
        },
      },
      train: { architecture: 'lenet-300-100', epochs: settings.epochs, learningRate: 0.05, weightDecay: 1e-4 },
      method,
      stages: { prune: true, quantize: false },
      search: { episodes: settings.episodes, images: 1000, actors: 2 },
      seed,
    });
  const run = async (
    row: LotteryRow['row'],
    name: 'mnist' | 'fashion-mnist',
    method: 'lottery-mdp' | 'lottery-ticket',
    options: object,
  ) => {
    const from = performance.now();
    const result = await startRun(config(name, { name: method, options: { ...options } }), {
      folder,
      dataFolder: data,
      threads: threadFiles,
    });
    const figures = JSON.parse(readFileSync(join(result.folder, 'best', 'ticket.json'), 'utf8')) as TicketFigures;
    rows.push({ row, ...figures, seconds: (performance.now() - from) / 1000 });
    copyFileSync(join(result.folder, 'best', 'mask.json'), join(folder, `${method}-${name}.json`));
    return figures;
  };
  try {
    for (const name of ['mnist', 'fashion-mnist'] as const)
      await trainBaseline(config(name, 'uniform'), { folder, dataFolder: data, augmentThread: threadFiles.augment });
    const { sparsity } = await run('mdp', 'mnist', 'lottery-mdp', { sparsity: settings.sparsity });
    await run('magnitude', 'mnist', 'lottery-ticket', { sparsity, rounds: settings.rounds });
    await run('mdp transferred', 'fashion-mnist', 'lottery-mdp', { mask: 'lottery-mdp-mnist.json' });
    await run('magnitude transferred', 'fashion-mnist', 'lottery-ticket', { mask: 'lottery-ticket-mnist.json' });
    return rows;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

export async function run(args: BenchArguments): Promise<void> {
  const settings = lotterySettings(args);
  note(`settings: ${JSON.stringify(settings)}; accuracies in % of 5,000 held-out images`);
  for (let seed = Number(args.options['from'] ?? 1); seed <= args.seeds; seed++) {
    for (const r of await lotteryRows(dataFolder(args), seed, settings)) {
      printRow(args, {
        row: r.row,
        seed,
        data: r.data,
        sparsity: 100 * r.sparsity,
        whole: 100 * r.original,
        ticket: 100 * r.ticket,
        randomMask: 100 * (r.randomMask ?? Number.NaN),
        seconds: r.seconds,
      });
    }
  }
}
