/** The network of the studies: two convolutions and two full connections on CIFAR-10, trained once and kept. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { drawnParameters } from '../../src/engine/architectures/architecture';
import { BatchPipeline } from '../../src/engine/data/batches';
import type { Normalization } from '../../src/engine/data/dataset';
import { locateDataset } from '../../src/engine/data/locate';
import { rowsOf } from '../../src/engine/data/splits';
import { loadModel, saveModel } from '../../src/engine/onnx/file';
import type { Model } from '../../src/engine/onnx/model';
import { GraphBuilder, type Value } from '../../src/engine/ops/builder';
import { Random } from '../../src/engine/random';
import { type Prepared, prepare } from '../../src/engine/search/prepare';
import { fitModel } from '../../src/engine/training/fit';
import { type Config, type ConfigInput, configSchema } from '../../src/protocol/config';
import { type BenchArguments, note, threadFiles } from '../bench';

export interface StudyContext {
  readonly data: string;
  /** Folder that keeps the trained network. */
  readonly work: string;
  readonly args: BenchArguments;
  network(): Promise<StudyNetwork>;
}

/** Lines of Markdown. */
export type Study = (context: StudyContext) => Promise<string[]>;

export interface StudyNetwork {
  readonly path: string;
  readonly prepared: Prepared;
  /** A config for the network with its data; `change` says the rest. */
  config(change: Partial<ConfigInput>): Config;
  /** Batches of the training images, for a purpose of its own. */
  batches(purpose: string): BatchPipeline;
  /** What the network is and what it was trained on. */
  readonly about: string;
}

export const BATCH = 128;
const NORMALIZATION: Normalization = { scale: 1 / 255, mean: [0.4914, 0.4822, 0.4465], std: [0.2471, 0.2435, 0.2616] };

/** 16@3×3 → ReLU → pool → 32@3×3 → ReLU → pool → 64 → ReLU → 10. */
function fourLayers(random: Random): Model {
  const b = new GraphBuilder();
  const convolution = (x: Value, name: string, shape: readonly number[]): Value => {
    const { weight, bias } = drawnParameters(b, name, shape, random);
    const y = b.op('Conv', [x, weight, bias], { kernel_shape: [3, 3], pads: [1, 1, 1, 1], strides: [1, 1] }, { name });
    return b.op(
      'MaxPool',
      [b.op('Relu', [y], {}, { name: `${name}.relu` })],
      { kernel_shape: [2, 2], strides: [2, 2] },
      { name: `${name}.pool` },
    );
  };
  const linear = (x: Value, name: string, shape: readonly number[]): Value => {
    const { weight, bias } = drawnParameters(b, name, shape, random);
    return b.op('Gemm', [x, weight, bias], { transB: 1 }, { name });
  };
  let h = convolution(b.input('input', ['batch', 3, 32, 32]), 'conv1', [16, 3, 3, 3]);
  h = convolution(h, 'conv2', [32, 16, 3, 3]);
  h = b.op('Flatten', [h], { axis: 1 }, { name: 'flatten' });
  h = b.op('Relu', [linear(h, 'fc1', [64, 2048])], {}, { name: 'fc1.relu' });
  b.output(linear(h, 'fc2', [10, 64]), 'logits', ['batch', 10]);
  return b.build('four_layers');
}

/** Trained in an earlier call, or now. */
export async function studyNetwork({ data, work, args }: Pick<StudyContext, 'data' | 'work' | 'args'>): Promise<StudyNetwork> {
  const epochs = Number(args.options['epochs'] ?? 6);
  const images = Number(args.options['images'] ?? 40_000);
  const testImages = Number(args.options['test-images'] ?? 10_000);
  const path = join(work, `four-layers-${images}-${epochs}.onnx`);
  const source = locateDataset('cifar10', { dataFolder: data });
  const batches = (purpose: string): BatchPipeline =>
    new BatchPipeline(rowsOf(source.train!, 0, images), {
      batch: BATCH,
      normalization: NORMALIZATION,
      augmentation: { crop: 4, flip: true },
      shuffle: true,
      random: new Random(1).fork(purpose),
      threadFile: threadFiles.augment,
    });
  if (!existsSync(path)) {
    note(`training the network: ${epochs} epochs of ${images} images`);
    const pipeline = batches('train');
    const { model } = await fitModel(fourLayers(new Random(1)), pipeline, {
      epochs,
      batch: BATCH,
      learningRate: { base: 0.05, schedule: { kind: 'cosine' } },
      momentum: 0.9,
      weightDecay: 5e-4,
    }).finally(() => pipeline.close());
    saveModel(model, path);
  }
  const config = (change: Partial<ConfigInput>): Config =>
    configSchema.parse({
      ...change,
      model: path,
      data: {
        name: 'cifar10',
        normalization: { ...NORMALIZATION, mean: [...NORMALIZATION.mean], std: [...NORMALIZATION.std] },
        augmentation: { crop: 4, flip: true },
        splits: {
          // The network has not seen these training images: candidates are scored on them, and the test set is left for the figures.
          search: { set: 'train', from: 45_000 },
          report: { set: 'test', count: testImages },
          train: { set: 'train', count: images },
        },
      },
    });
  loadModel(path);
  const prepared = await prepare(config({}), { folder: work, dataFolder: data });
  return {
    path,
    prepared,
    config,
    batches,
    about: `Network: 16@3×3, pool, 32@3×3, pool, 64, 10, ReLU between (${prepared.costs.params.toLocaleString('en')} parameters, ${(prepared.costs.macs / 1e6).toFixed(2)} M multiply-accumulates); trained ${epochs} epochs on ${images.toLocaleString('en')} images of CIFAR-10 with crops and flips, seed 1.`,
  };
}
