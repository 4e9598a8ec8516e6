/** Everything that is decided before the first episode: the model read and normalised, the data cut into its parts, every check made. */
import { existsSync } from 'node:fs';
import { dirname, isAbsolute, resolve } from 'node:path';
import type { Config } from '../../protocol/config';
import { type ResolvedSplits, resolveSplits, type SplitRange } from '../../protocol/splits';
import { BatchPipeline } from '../data/batches';
import type { Augmentation, DataSource, Dataset, Normalization, Split } from '../data/dataset';
import { type DataForm, type LoadOptions, loadData } from '../data/load';
import { readPreprocessing } from '../data/model-preprocessing';
import { normalizations } from '../data/normalize';
import { firstRows, labelsOf, rowsOf } from '../data/splits';
import { UserError } from '../errors';
import { loadAnyModel, modelHash } from '../formats/registry';
import type { ChannelGroup, FrozenReason } from '../graph/channel-group';
import { findChannelGroups } from '../graph/channel-groups';
import { countCosts, type ModelCosts } from '../graph/costs';
import { type Layer, quantizableLayers } from '../graph/layers';
import { normalize } from '../graph/passes/normalize';
import { quantizedForm } from '../graph/quantized-form';
import type { Model } from '../onnx/model';
import { elementCount, isFloat } from '../onnx/tensor';
import { accuracyOf, checkFits, predict, type ScoringSet, scoringSignature } from '../runtime/evaluate';
import { METRIC_TITLES } from '../runtime/metrics';
import type { SampleSet } from './actor';
import { chooseJudge, type TargetKind } from './judge';

export interface Prepared {
  readonly modelPath: string;
  /** SHA-256 of the model's file (and of the files its weights lie in), in hexadecimal. */
  readonly sha256: string;
  /** As read, after the normalising passes; float, batch normalisation still in place. */
  readonly model: Model;
  readonly costs: ModelCosts;
  readonly groups: readonly ChannelGroup[];
  readonly frozen: readonly FrozenReason[];
  readonly layers: readonly Layer[];
  readonly data: PreparedData;
  /** Things worth saying that do not stop the run. */
  readonly notes: readonly string[];
}

export interface PreparedData {
  readonly name: string;
  readonly shape: readonly number[];
  readonly classes: number;
  readonly labelled: boolean;
  /** What figures called accuracy are of this data, in words: 'accuracy', 'agreement with the original', 'F1' … */
  readonly measure: string;
  /** What fine-tuning aims at: one class, several labels, or values. */
  readonly target: TargetKind;
  readonly normalization: Normalization;
  readonly augmentation?: Augmentation;
  /** Held-out samples that score candidates. */
  readonly search: ScoringSet;
  /** Samples of the reported accuracy, which the search never sees. */
  readonly report: ScoringSet;
  /** Training samples for reconstruction and ranges; candidates are reconstructed on the first `pruning.calibrationImages` of them. */
  readonly calibration: SampleSet;
  /** The same and more, for what is done once: the chosen policy's reconstruction. */
  readonly finalCalibration: SampleSet;
  /** Samples for fine-tuning; absent where there are none with labels and none to distil on. */
  readonly train?: Split;
}

export interface PrepareOptions extends LoadOptions {
  readonly threads?: number;
  /** Accept a model without layers to compress: it is only to be scored. */
  readonly anyModel?: boolean;
}

/** Reads and checks model and data. @throws UserError naming the file or field and the next step */
export async function prepare(config: Config, options: PrepareOptions): Promise<Prepared> {
  const modelPath = isAbsolute(config.model) ? config.model : resolve(options.folder, config.model);
  if (!existsSync(modelPath))
    throw new UserError(`${modelPath}: no such model file`, 'Check "model" in the config, or the path on the command line.');
  const original = await loadAnyModel(modelPath);
  const normalized = normalize(original, { dequantize: config.dequantize });
  const quantized = quantizedForm(normalized.model);
  if (quantized !== undefined && !options.anyModel)
    throw new UserError(
      `${modelPath}: the model is quantised already (${quantized})`,
      'Compress the float model it was made from, or set "dequantize": true (--dequantize) to turn it back into floats first.',
    );
  const model = normalized.model;
  const { groups, frozen } = findChannelGroups(model);
  const layers = quantizableLayers(model);
  const costs = countCosts(model);
  if (layers.length === 0 && !options.anyModel) {
    throw new UserError(
      `${modelPath}: the model has no convolution or linear layer with constant weights`,
      'There is nothing to prune or quantise in it.',
    );
  }
  const source = await loadData(config.data, options, dataForm(model));
  const notes = [...normalized.notes, ...(source.notes ?? [])];
  const data = await prepareData(config, model, source, options, notes);
  return {
    modelPath,
    sha256: await modelHash(modelPath),
    model,
    costs,
    groups,
    frozen,
    layers,
    data,
    notes,
  };
}

/** What data has to look like for a model. */
export function dataForm(model: Model): DataForm {
  const { inputs, outputs } = model.graph;
  return {
    inputs: inputs.map((i) => ({
      name: i.name,
      shape: i.shape?.slice(1),
      whole: i.type !== 'float32' && i.type !== 'uint8' && !isFloat(i.type),
    })),
    outputs: outputs.map((o) => o.name),
    preprocessing: readPreprocessing(model.metadata),
  };
}

async function prepareData(
  config: Config,
  model: Model,
  source: DataSource,
  options: PrepareOptions,
  notes: string[],
): Promise<PreparedData> {
  const any = source.test ?? source.train;
  if (!any) throw new UserError(`${source.name} holds no samples`);
  checkFits(model, any, `data set ${source.name}`);
  const { splits, problems } = resolveSplits(config.data, { train: source.train?.count, test: source.test?.count });
  if (problems.length > 0) throw new UserError(problems[0], 'Edit "data.splits" in the config.');
  const labelled = any.labels !== undefined || any.targets !== undefined;
  const pick = (range: SplitRange | undefined, use: string): Split => {
    if (!range) throw new UserError(`the data has no samples for ${use}`, `Give it some with "data.splits.${use}".`);
    return rowsOf(source[range.set]!, range.from, range.to);
  };
  const searchRange = splits.search;
  const search = pick(
    searchRange && config.search.images
      ? { ...searchRange, to: Math.min(searchRange.to, searchRange.from + config.search.images) }
      : searchRange,
    'search',
  );
  const report = splits.report ? pick(splits.report, 'report') : search;
  const classes = await countClasses(model, any, options);
  // One score says yes or no: two classes.
  if (any.labels && any.classes !== undefined && any.classes > Math.max(2, classes)) {
    throw new UserError(
      `${source.name} has ${any.classes} classes, but the model answers with ${classes}`,
      'Choose the data set the model was made for.',
    );
  }
  const judge = await chooseJudge(config, model, any, options);
  // A handful of held-out samples would choose by chance; training samples serve this purpose as well.
  const probe = search.rows.length < FEW_SAMPLES && splits.train ? pick(splits.train, 'train') : search;
  const normalization = await chooseNormalization(config, model, source, probe, options, notes);
  const scoring = async (split: Split): Promise<ScoringSet> => judge.scoringSet(split, await materialize(split, normalization));
  const searchSet = await scoring(search);
  const { calibrationImages, final } = config.pruning;
  const affordable = Math.min(final.calibrationImages, Math.floor(CALIBRATION_BYTES / (4 * elementCount(any.shape))));
  const finalCalibration = await materialize(
    firstRows(pick(splits.calibration ?? splits.search, 'calibration'), Math.max(calibrationImages, affordable)),
    normalization,
  );
  const calibration = firstSamples(finalCalibration, Math.max(calibrationImages, Math.min(CALIBRATION_SAMPLES, affordable)));
  notes.push(...splitNotes(splits, finalCalibration.count, labelled));
  return {
    name: source.name,
    shape: any.shape,
    classes,
    labelled,
    measure: labelled
      ? METRIC_TITLES[judge.metric]
      : judge.metric === 'top-1'
        ? 'agreement with the original'
        : `${METRIC_TITLES[judge.metric]} with the original`,
    target: judge.target,
    normalization,
    augmentation: config.data.augmentation,
    search: searchSet,
    report: report === search ? searchSet : await scoring(report),
    calibration,
    finalCalibration,
    train: splits.train && pick(splits.train, 'train'),
  };
}

/** Which samples a lone test set gives to what, where people would not guess it. */
function splitNotes({ search, calibration, train, report }: ResolvedSplits['splits'], calibrated: number, labelled: boolean): string[] {
  const size = (range: SplitRange | undefined): number => (range ? range.to - range.from : 0);
  const shared =
    calibration === undefined || (search?.set === calibration.set && search.from < calibration.to && calibration.from < search.to);
  if (shared) {
    return [
      `the ${size(search)} samples that score the search serve for reconstruction too, so scores of the search are too high; only the report's ${size(report)} are held out. Give more samples, or part them with "data.splits"`,
    ];
  }
  if (search?.set !== 'test' || calibration.set !== 'test') return [];
  const tuned = train ? `, fine-tuning${labelled ? '' : ' (towards the answers of the original)'} uses ${size(train)}` : '';
  return [
    `reconstruction uses ${calibrated} samples${tuned}, the search scores on ${size(search)} others, the report on ${size(report)} others still`,
  ];
}

/** The first samples of a set, sharing its memory. */
export function firstSamples(set: SampleSet, count: number): SampleSet {
  const n = Math.min(count, set.count);
  return { ...set, inputs: set.inputs.subarray(0, (set.inputs.length / set.count) * n), count: n };
}

/** All samples of a split as one block of model inputs. */
export async function materialize(split: Split, normalization: Normalization): Promise<SampleSet> {
  const { shape, fields } = split.dataset;
  const size = elementCount(shape);
  const inputs = new Float32Array(new SharedArrayBuffer(split.rows.length * size * 4));
  const pipeline = new BatchPipeline(split, { batch: 500, normalization, dropLast: false });
  let at = 0;
  for await (const batch of pipeline.batches(0)) {
    inputs.set(batch.inputs.subarray(0, batch.count * size), at);
    at += batch.count * size;
  }
  return { inputs, shape, fields, count: split.rows.length };
}

async function countClasses(model: Model, dataset: Dataset, options: PrepareOptions): Promise<number> {
  const one = { inputs: new Float32Array(elementCount(dataset.shape)), shape: dataset.shape, fields: dataset.fields, count: 1 };
  return (await predict(model, scoringSignature(model), one, { threads: options.threads })).classes;
}

/** Samples on which the usual normalisations are tried. */
const PROBE = 500;
/** Samples that ranges and statistics are taken from, unless candidates are reconstructed on more. */
const CALIBRATION_SAMPLES = 2000;
/** Memory that samples for reconstruction may take; large images are fewer. */
const CALIBRATION_BYTES = 512 << 20;
/** Fewer held-out samples than these are too few to try them on. */
const FEW_SAMPLES = 200;
/** Data sets of grey images, whose normalisation no colours have. */
const GREY: readonly string[] = ['digits', 'mnist', 'fashion-mnist'];

/**
 * The config's normalisation, or else whichever of the usual ones the model answers best with: a model file does not say how its
 * inputs were scaled, and a wrong guess costs accuracy that no later step gives back.
 */
async function chooseNormalization(
  config: Config,
  model: Model,
  source: DataSource,
  search: Split,
  options: PrepareOptions,
  notes: string[],
): Promise<Normalization> {
  if (config.data.normalization) {
    if (search.dataset.fields)
      throw new UserError(
        'a normalisation is for one input, but the data has several',
        'Normalise each array, and leave "data.normalization" out.',
      );
    return config.data.normalization;
  }
  if (source.normalizationStated) return source.normalization;
  if (!source.test?.labels && !source.train?.labels) return source.normalization;
  const probe = firstRows(search, PROBE);
  if (!(probe.dataset.inputs instanceof Uint8Array)) return source.normalization;
  const labels = labelsOf(probe);
  let best = { name: 'usual', normalization: source.normalization, accuracy: -1 };
  const [channels] = probe.dataset.shape;
  const usual = Object.entries(normalizations).filter(
    ([name, n]) => (n.mean.length === 1 || n.mean.length === channels) && !(channels === 3 && GREY.includes(name)),
  );
  for (const [name, normalization] of [[source.name, source.normalization] as const, ...usual]) {
    const accuracy = await accuracyOf(
      model,
      { ...(await materialize(probe, normalization)), labels },
      { threads: options.threads, signal: options.signal },
    );
    if (accuracy > best.accuracy) best = { name, normalization, accuracy };
  }
  if (best.normalization !== source.normalization) {
    notes.push(
      `input normalisation '${best.name}' (scale ${best.normalization.scale}, mean ${best.normalization.mean.join(', ')}, std ${best.normalization.std.join(', ')}) suits the model best: ${(100 * best.accuracy).toFixed(1)} % of ${probe.rows.length} images; set "data.normalization" to choose another`,
    );
  }
  return best.normalization;
}

/** Folder of a config file, for paths relative to it. */
export const configFolder = (configPath: string): string => dirname(resolve(configPath));
