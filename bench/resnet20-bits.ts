/**
 * Stage 2 on the unpruned ResNet-20: weight bits by layer under a byte budget, straight-through fine-tuning, sizes from the written
 * file; beside uniform 8 and 4 bits without tuning. Searches score on the first 2,000 test images, accuracies are of the other 3,000.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { quantizableLayers } from '../src/engine/graph/layers';
import { foldBatchNorm } from '../src/engine/graph/passes/fold-batch-norm';
import { loadModel } from '../src/engine/onnx/file';
import { quantizeLayers, quantizeModel, writeModelFile } from '../src/engine/quantization/write-quantized';
import { accuracyOf } from '../src/engine/runtime/evaluate';
import { prepare } from '../src/engine/search/prepare';
import { startRun } from '../src/engine/search/run';
import { configSchema } from '../src/protocol/config';
import { type BenchArguments, dataFolder, IMAGENET, printRow, threadFiles } from './bench';

export async function run(args: BenchArguments): Promise<void> {
  const data = dataFolder(args);
  const file = join(data, 'models', 'cifar10_resnet20.onnx');
  const work = mkdtempSync(join(tmpdir(), 'espalier-bench-'));
  const base = { model: file, data: { name: 'cifar10' as const, normalization: IMAGENET, augmentation: { crop: 4, flip: true } } };
  try {
    const prepared = await prepare(configSchema.parse(base), { folder: '.', dataFolder: data });
    const float = await accuracyOf(prepared.model, prepared.data.report);
    const folded = foldBatchNorm(prepared.model).model;
    for (const bits of [8, 4]) {
      const every = Object.fromEntries(quantizableLayers(folded).map((l) => [l.name, bits]));
      const written = await quantizeModel(folded, quantizeLayers(folded, every), {
        activations: 'float',
        calibration: prepared.data.calibration,
      });
      const path = join(work, `uniform-${bits}.onnx`);
      const sizes = writeModelFile(written, path);
      const accuracy = await accuracyOf(loadModel(path), prepared.data.report);
      printRow(args, { method: `uniform ${bits} bits, untuned`, accuracy: 100 * accuracy, loss: 100 * (float - accuracy), ...sizes });
    }
    for (let seed = 1; seed <= Number(args.options['seeds'] ?? 1); seed++) {
      const started = performance.now();
      const config = configSchema.parse({
        ...base,
        method: args.options['method'] ?? 'episodic-ppo',
        stages: { prune: false, quantize: true },
        search: { episodes: Number(args.options['episodes'] ?? 60), actors: 2 },
        quantization: { averageBits: Number(args.options['bits'] ?? 4.5), epochs: 1, activations: 'float' },
        recovery: { distillation: { weight: 1, temperature: 4 } },
        seed,
      });
      const { result, scorings } = await startRun(config, { folder: work, dataFolder: data, threads: threadFiles });
      printRow(args, {
        method: config.method.name,
        seed,
        accuracy: 100 * result.after.accuracy,
        loss: 100 * (result.before.accuracy - result.after.accuracy),
        fileBytes: result.after.cost.fileBytes ?? 0,
        brotliBytes: result.after.cost.brotliBytes ?? 0,
        weightBytes: result.after.cost.weightBytes,
        bits: Object.values(result.candidate.policy.bits).join(' '),
        scorings: scorings.quantize.scorings,
        seconds: (performance.now() - started) / 1000,
      });
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
