/** `espalier train`: a baseline network from nothing, by the config's `train`, written to the config's `model`. */
import { resolve } from 'node:path';
import type { Config } from '../../protocol/config';
import { resolveSplits, type SplitRange } from '../../protocol/splits';
import { findArchitecture } from '../architectures/registry';
import { BatchPipeline } from '../data/batches';
import type { DataSource, Normalization, Split } from '../data/dataset';
import { loadData } from '../data/load';
import { UserError } from '../errors';
import { saveModel } from '../onnx/file';
import { Random } from '../random';
import { accuracyOf, type ScoringSet } from '../runtime/evaluate';
import { type FitProgress, fitModel } from '../training/fit';
import { materialize } from './prepare';
import { withTrainingRecord } from './train-baseline-record';

export interface TrainBaselineOptions {
  /** Folder that the config's paths are relative to. */
  readonly folder: string;
  readonly dataFolder?: string;
  /** The bundled augmentation thread. */
  readonly augmentThread?: string;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: FitProgress) => void;
  /** Accuracy on the search images after each epoch. */
  readonly onEpoch?: (epoch: number, accuracy: number) => void;
}

export interface TrainedBaseline {
  readonly path: string;
  /** On the report images, which training and the choice of the epoch never saw. */
  readonly accuracy: number;
  readonly images: number;
  /** The epoch (from 1) whose weights were kept: the best on the search images. */
  readonly epoch: number;
  readonly parameters: number;
  readonly fileBytes: number;
}

/** @throws UserError where the config trains nothing, or the data has no labels or does not fit the network */
export async function trainBaseline(config: Config, options: TrainBaselineOptions): Promise<TrainedBaseline> {
  const { train } = config;
  if (!train) throw new UserError('the config has no "train"', 'Add "train": { "architecture": "lenet5" }, or name a config that has one.');
  const architecture = findArchitecture(train.architecture);
  const source = await loadData(config.data, options);
  const { splits, problems } = resolveSplits(config.data, { train: source.train?.count, test: source.test?.count });
  if (problems.length > 0) throw new UserError(problems[0], 'Edit "data.splits" in the config.');
  const part = (range: SplitRange | undefined, use: string): Split => partOf(source, range, use);
  const samples = part(splits.train, 'train');
  const { shape, classes = 0 } = samples.dataset;
  if (shape.join() !== architecture.input.join()) {
    throw new UserError(
      `${source.name} has samples of shape [${shape.join(', ')}], but ${architecture.name} takes [${architecture.input.join(', ')}]`,
      'Choose another data set or architecture.',
    );
  }
  const normalization = config.data.normalization ?? source.normalization;
  const search = await scoringSet(part(splits.search, 'search'), normalization);
  const report = splits.report ? await scoringSet(part(splits.report, 'report'), normalization) : search;
  const random = new Random(config.seed);
  const batch = Math.min(train.batch, samples.rows.length);
  const batches = new BatchPipeline(samples, {
    batch,
    normalization,
    augmentation: config.data.augmentation,
    shuffle: true,
    random: random.fork('train'),
    threadFile: options.augmentThread,
  });
  const { schedule, decay } = train;
  const threads = config.threads;
  const { model, bestEpoch } = await fitModel(architecture.build({ classes, random: random.fork('weights') }), batches, {
    epochs: train.epochs,
    batch,
    learningRate: {
      base: train.learningRate,
      schedule: schedule === 'exponential' ? { kind: 'exponential', factor: decay } : { kind: schedule },
      warmUpEpochs: train.warmUpEpochs,
    },
    loss: { crossEntropy: 1, labelSmoothing: train.labelSmoothing },
    momentum: train.momentum,
    weightDecay: train.weightDecay,
    threads,
    signal: options.signal,
    onProgress: options.onProgress,
    validate: async (candidate, epoch) => {
      const accuracy = await accuracyOf(candidate, search, { threads, signal: options.signal });
      options.onEpoch?.(epoch, accuracy);
      return accuracy;
    },
  }).finally(() => batches.close());
  const path = resolve(options.folder, config.model);
  // The lottery-ticket methods rewind to the initial weights, whatever seed they run with.
  const fileBytes = saveModel(withTrainingRecord(model, { architecture: architecture.name, seed: config.seed }), path);
  return {
    path,
    accuracy: await accuracyOf(model, report, { threads }),
    images: report.count,
    epoch: bestEpoch + 1,
    parameters: [...model.graph.initializers.values()].reduce((sum, t) => sum + t.size, 0),
    fileBytes,
  };
}

function partOf(source: DataSource, range: SplitRange | undefined, use: string): Split {
  if (!range) throw new UserError(`${source.name} has no samples for '${use}'`, `Give it some with "data.splits.${use}".`);
  const dataset = source[range.set]!;
  if (!dataset.labels) throw new UserError(`${source.name} has no labels, so nothing can be trained on it`, 'Name a data set with labels.');
  return { dataset, rows: Uint32Array.from({ length: range.to - range.from }, (_, i) => range.from + i) };
}

async function scoringSet(split: Split, normalization: Normalization): Promise<ScoringSet> {
  return { ...(await materialize(split, normalization)), labels: Int32Array.from(split.rows, (r) => split.dataset.labels![r]) };
}
