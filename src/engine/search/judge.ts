/** What a model's answers are held against, and how: by the data's labels or values, or where it has none, by the original model's own answers. */
import type { Config } from '../../protocol/config';
import type { Dataset, Split, Targets } from '../data/dataset';
import { labelsOf } from '../data/splits';
import { UserError } from '../errors';
import type { Model } from '../onnx/model';
import { elementCount } from '../onnx/tensor';
import type { DetectionRule } from '../runtime/detections';
import { classAnswers, outputsOf, type ScoringSet, scoringSignature } from '../runtime/evaluate';
import { endsInSigmoid, type Metric, type Truth, thresholdOf } from '../runtime/metrics';
import type { SampleSet } from './actor';

/** What training aims at: one class a sample, several labels at once, or values. */
export type TargetKind = 'classes' | 'labels' | 'values';

export interface Judge {
  readonly metric: Metric;
  readonly target: TargetKind;
  /** Samples with what answers are held against. */
  scoringSet(split: Split, samples: SampleSet): Promise<ScoringSet>;
}

interface JudgeOptions {
  readonly threads?: number;
  readonly signal?: AbortSignal;
}

const NO_LABELS = new Int32Array(0);

/**
 * - labels: one class a sample, 'top-1'; or with a metric of values, the numbers themselves
 * - targets of zeros and ones, several a sample: 'f1' unless the config names another
 * - other targets: 'mse' unless the config names another
 * - nothing: whether the original's class is found, where it answers with class scores; else how near all its outputs are
 * @throws UserError where the config's metric does not suit the data
 */
export async function chooseJudge(config: Config, model: Model, dataset: Dataset, options: JudgeOptions): Promise<Judge> {
  const wanted = config.data.metric;
  const detects = wanted === 'detections' || (wanted === undefined && config.data.detection !== undefined);
  if (detects && (dataset.targets || dataset.labels))
    throw new UserError(
      `the metric 'detections' holds a detector against the original model, but ${dataset.name} has labels`,
      'Give the inputs alone: "data.files.inputs".',
    );
  if (detects) return byDetections(config, model, dataset, options);
  if (dataset.targets) return byTargets(wanted, model, dataset, dataset.targets);
  if (dataset.labels) {
    if (wanted === 'mse' || wanted === 'mae') {
      return byTargets(wanted, model, dataset, { outputs: [{ width: 1, values: Float32Array.from(dataset.labels) }] });
    }
    if (wanted !== undefined && wanted !== 'top-1')
      throw new UserError(
        `the metric '${wanted}' needs several labels a sample, but ${dataset.name} has one`,
        'Use \'top-1\', or leave "data.metric" out.',
      );
    return { metric: 'top-1', target: 'classes', scoringSet: async (split, samples) => ({ ...samples, labels: labelsOf(split) }) };
  }
  return byOriginal(model, dataset, options);
}

function byTargets(wanted: Metric | undefined, model: Model, dataset: Dataset, targets: Targets): Judge {
  const first = model.graph.outputs[0].name;
  const binary = targets.outputs.every((o) => o.values.every((v) => v === 0 || v === 1));
  const metric = wanted ?? (binary ? 'f1' : 'mse');
  if (metric === 'top-1' || metric === 'outputs' || metric === 'detections')
    throw new UserError(
      `the metric '${metric}' needs one class a sample, but ${dataset.name} has values`,
      "Use 'mse', 'mae', 'f1', 'map' or 'exact-match'.",
    );
  const ofLabels = metric !== 'mse' && metric !== 'mae';
  if (ofLabels && !binary)
    throw new UserError(`the metric '${metric}' needs labels of 0 and 1, but ${dataset.name} has other values`, "Use 'mse' or 'mae'.");
  return {
    metric,
    target: ofLabels ? 'labels' : 'values',
    async scoringSet({ rows }, samples) {
      const outputs = targets.outputs.map(({ name = first, width, values }) => {
        const picked = new Float32Array(rows.length * width);
        rows.forEach((row, i) => {
          picked.set(values.subarray(row * width, (row + 1) * width), i * width);
        });
        return { name, width, values: picked };
      });
      return { ...samples, labels: NO_LABELS, truth: { metric, outputs, threshold: thresholdOf(model, first) } };
    },
  };
}

/** Boxes and scores of the original, held against those of another by overlap and class. @throws UserError where the outputs are not boxes and scores */
async function byDetections(config: Config, model: Model, dataset: Dataset, options: JudgeOptions): Promise<Judge> {
  const signature = scoringSignature(model);
  const names = model.graph.outputs.map((o) => o.name);
  const { boxes, scores, ...rule } = config.data.detection ?? DETECTION;
  const one: SampleSet = { inputs: new Float32Array(elementCount(dataset.shape)), shape: dataset.shape, fields: dataset.fields, count: 1 };
  const widths = new Map([...(await outputsOf(model, signature, names, one, options))].map(([name, { width }]) => [name, width]));
  const stated = (name: string): readonly unknown[] => model.graph.outputs.find((o) => o.name === name)?.shape ?? [];
  const choose = (given: string | undefined, field: string, fits: (name: string) => boolean): string => {
    const fitting = given === undefined ? names.filter(fits) : names.filter((n) => n === given && fits(n));
    if (fitting.length === 1) return fitting[0];
    throw new UserError(
      given === undefined
        ? `which of the outputs ${names.join(', ')} has the ${field} is not clear`
        : `'data.detection.${field}' names '${given}', which is no output of [batch, boxes, ${field === 'boxes' ? '4' : 'classes'}]`,
      `Name it with "data.detection.${field}"; the outputs are ${model.graph.outputs.map((o) => `${o.name} [${(o.shape ?? []).join(', ')}]`).join('; ')}.`,
    );
  };
  const ofBoxes = choose(boxes, 'boxes', (n) => stated(n).length === 3 && stated(n)[2] === 4);
  const count = widths.get(ofBoxes)! / 4;
  const ofScores = choose(
    scores,
    'scores',
    (n) => n !== ofBoxes && widths.get(n)! % count === 0 && (stated(n).length !== 3 || stated(n)[1] === count),
  );
  const wanted = [ofBoxes, ofScores];
  return {
    metric: 'detections',
    target: 'values',
    async scoringSet(_split, samples) {
      const answers = await outputsOf(model, signature, wanted, samples, options);
      const outputs = wanted.map((name) => ({ name, ...answers.get(name)! }));
      const detection: DetectionRule = { ...rule, boxes: ofBoxes, scores: ofScores };
      return { ...samples, labels: NO_LABELS, truth: { metric: 'detections', threshold: 0, outputs, detection } };
    },
  };
}

/** Where the config says nothing of how detections are read. */
const DETECTION = { boxes: undefined, scores: undefined, form: 'corners', score: 0.5, iou: 0.5 } as const;

/** True where an output is scores of classes: [batch, classes], axes of length 1 behind them, or one sigmoid. */
function isClassifier(model: Model, width: number, shape: readonly number[]): boolean {
  if (model.graph.outputs.length > 1) return false;
  const [, classes = 1, ...rest] = shape;
  if (elementCount(rest) !== 1 || width !== classes) return false;
  return classes > 1 || endsInSigmoid(model, model.graph.outputs[0].name);
}

async function byOriginal(model: Model, dataset: Dataset, options: JudgeOptions): Promise<Judge> {
  const signature = scoringSignature(model);
  const names = model.graph.outputs.map((o) => o.name);
  const one: SampleSet = { inputs: new Float32Array(elementCount(dataset.shape)), shape: dataset.shape, fields: dataset.fields, count: 1 };
  const output = (await outputsOf(model, signature, names, one, options)).get(names[0])!;
  const stated = model.graph.outputs[0].shape?.slice(1).map((d) => (typeof d === 'number' ? d : 1)) ?? [output.width];
  const shape = elementCount(stated) === output.width ? [1, ...stated] : [1, output.width];
  if (isClassifier(model, output.width, shape)) {
    const threshold = thresholdOf(model, names[0]);
    return {
      metric: 'top-1',
      target: 'classes',
      async scoringSet(_split, samples) {
        const { values, width } = (await outputsOf(model, signature, [names[0]], samples, options)).get(names[0])!;
        return { ...samples, labels: classAnswers(values, width, threshold) };
      },
    };
  }
  return {
    metric: 'outputs',
    target: 'values',
    async scoringSet(_split, samples) {
      const answers = await outputsOf(model, signature, names, samples, options);
      const truth: Truth = { metric: 'outputs', threshold: 0, outputs: names.map((name) => ({ name, ...answers.get(name)! })) };
      return { ...samples, labels: NO_LABELS, truth };
    },
  };
}
