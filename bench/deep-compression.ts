/**
 * Deep Compression's three steps on LeNet-5 (MNIST, trained here) and ResNet-20 (CIFAR-10): what is stored after each, and how right it is
 * on images that neither training nor search saw. Options: `--nets lenet5,resnet20`, `--rounds 3`, `--epochs` of each round's retraining (1),
 * `--sparsity` of both networks (0.9 and 0.7).
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DeepCompressionFigures } from '../src/engine/search/deep-compression-stage';
import { startRun } from '../src/engine/search/run';
import { trainBaseline } from '../src/engine/search/train-baseline';
import { type ConfigInput, configSchema } from '../src/protocol/config';
import { type BenchArguments, dataFolder, IMAGENET, printRow, threadFiles } from './bench';

/** Shares of the weights that go; LeNet-5's is near the paper's 92 %, ResNet-20 has no layer as redundant as its fully connected ones. */
const SPARSITY: Readonly<Record<string, number>> = { lenet5: 0.9, resnet20: 0.7 };

const DISTILLATION = { weight: 0.7, temperature: 3 };

export async function run(args: BenchArguments): Promise<void> {
  const data = dataFolder(args);
  const { options } = args;
  const work = mkdtempSync(join(tmpdir(), 'espalier-bench-'));
  const nets: Readonly<Record<string, ConfigInput>> = {
    lenet5: {
      model: 'lenet5.onnx',
      data: { name: 'mnist', augmentation: { shift: 2 } },
      train: { architecture: 'lenet5', epochs: 12, learningRate: 0.05 },
    },
    resnet20: {
      model: join(data, 'models', 'cifar10_resnet20.onnx'),
      data: { name: 'cifar10', normalization: IMAGENET, augmentation: { crop: 4, flip: true } },
    },
  };
  try {
    for (const net of options['nets']?.split(',') ?? Object.keys(nets)) {
      const started = performance.now();
      const own = nets[net];
      if (!own) throw new Error(`there is no network '${net}'; there are ${Object.keys(nets).join(', ')}`);
      const config = configSchema.parse({
        ...own,
        method: {
          name: 'deep-compression',
          options: { sparsity: Number(options['sparsity'] ?? SPARSITY[net]), rounds: Number(options['rounds'] ?? 3) },
        },
        recovery: { epochs: Number(options['epochs'] ?? 1), learningRate: 0.02, distillation: DISTILLATION },
      });
      if (config.train) await trainBaseline(config, { folder: work, dataFolder: data, augmentThread: threadFiles.augment });
      const { folder } = await startRun(config, { folder: work, dataFolder: data, threads: threadFiles });
      const figures = JSON.parse(readFileSync(join(folder, 'best', 'deep-compression.json'), 'utf8')) as DeepCompressionFigures;
      const [original] = figures.steps;
      for (const { step, bytes, accuracy } of figures.steps)
        printRow(args, { net, step, bytes, timesSmaller: original.bytes / bytes, accuracy: 100 * accuracy, images: figures.images });
      printRow(args, { net, step: 'all', seconds: (performance.now() - started) / 1000 });
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
