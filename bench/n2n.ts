/**
 * N2N on ResNet-20 and CIFAR-10: a student of at most a fifth of the parameters, fine-tuned with the original as its teacher, beside the
 * same student trained from fresh weights on the labels alone for one epoch more, at the better of two learning rates. Searches score on the
 * first 2,000 test images; the accuracies printed are of the other 3,000. Options: `--params 0.2`, `--episodes 60`, `--epochs 3`,
 * `--model cifar10_resnet56.onnx`, `--rates 0.05,0.1` (of the training from fresh weights), `--images` of the search.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadModel } from '../src/engine/onnx/file';
import { Random } from '../src/engine/random';
import { accuracyOf } from '../src/engine/runtime/evaluate';
import { prepare } from '../src/engine/search/prepare';
import { startRun } from '../src/engine/search/run';
import { withInitialWeights } from '../src/engine/training/initial-weights';
import { type ConfigInput, configSchema } from '../src/protocol/config';
import { type BenchArguments, dataFolder, IMAGENET, note, printRow, threadFiles } from './bench';
import { fineTuned } from './fine-tune';

export async function run(args: BenchArguments): Promise<void> {
  const data = dataFolder(args);
  const { options } = args;
  const epochs = Number(options['epochs'] ?? 3);
  const rates = (options['rates'] ?? '0.05,0.1').split(',').map(Number);
  const work = mkdtempSync(join(tmpdir(), 'espalier-bench-'));
  const last = Number(options['seeds'] ?? 1);
  try {
    for (let seed = Number(options['from'] ?? 1); seed <= last; seed++) {
      const base: ConfigInput = {
        model: join(data, 'models', options['model'] ?? 'cifar10_resnet20.onnx'),
        data: { name: 'cifar10', normalization: IMAGENET, augmentation: { crop: 4, flip: true } },
        seed,
      };
      const config = configSchema.parse({
        ...base,
        method: 'n2n',
        goal: { params: Number(options['params'] ?? 0.2) },
        stages: { prune: true, quantize: false },
        search: { episodes: Number(options['episodes'] ?? 60), images: Number(options['images'] ?? 1000) },
        // Residual streams are what a fifth of the parameters cannot leave whole.
        pruning: { residual: 'prune' },
        recovery: { epochs, learningRate: 0.05, distillation: { weight: 0.7, temperature: 4 } },
      });
      const started = performance.now();
      const outcome = await startRun(config, { folder: work, dataFolder: data, threads: threadFiles });
      const { before, after, candidate } = outcome.result;
      const { report } = (await prepare(config, { folder: work, dataFolder: data })).data;
      const student = loadModel(join(outcome.folder, 'best', 'pruned-untrained.onnx'));
      printRow(args, {
        network: 'student',
        seed,
        timesSmaller: before.cost.params / after.cost.params,
        params: after.cost.params,
        flops: (100 * after.cost.macs) / before.cost.macs,
        accuracy: 100 * after.accuracy,
        original: 100 * before.accuracy,
        beforeFineTuning: 100 * (await accuracyOf(student, report)),
        removed: (candidate.policy.removed ?? []).join(' ') || 'none',
        epochs,
        scorings: outcome.scorings.prune.scorings,
        seconds: (performance.now() - started) / 1000,
      });
      for (const learningRate of rates) {
        const alone = configSchema.parse({ ...base, recovery: { epochs: epochs + 1, learningRate, distillation: { weight: 0 } } });
        const { model, steps } = await fineTuned(withInitialWeights(student, new Random(seed)), alone, data);
        printRow(args, {
          network: 'from fresh weights',
          seed,
          learningRate,
          accuracy: 100 * (await accuracyOf(model, report)),
          epochs: epochs + 1,
          steps,
        });
      }
    }
    note('the student was also taught for a few steps in the search, for which the other has an epoch more');
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
