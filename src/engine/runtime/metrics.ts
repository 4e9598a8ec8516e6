/**
 * How well answers meet the truth, each in [0, 1] with 1 the best, so that searches, budgets of accuracy and reports treat all alike.
 * - exact-match: share of samples with every label right
 * - f1: F1 over all labels of all samples together (micro-averaged), 2·TP / (2·TP + FP + FN)
 * - map: mean over labels of average precision, Σ (Rₖ − Rₖ₋₁)·Pₖ over the ranking of the samples by score; ties count as one step
 * - mse: R² = 1 − Σ(y − ŷ)² / Σ(y − ȳ)² for each value, the mean over values, at least 0
 * - mae: the same of absolute distances, with the median in the place of the mean
 * - outputs: agreement of all outputs with the original's: R² as above, but over all values of an output together (those that vary most weigh most), the mean
 *   over outputs; of outputs in whole numbers, the share that is equal
 * - detections: F1 of the boxes that a detector and the original both find (`detections.ts`)
 */
import { attr, type Model } from '../onnx/model';
import { type DetectionRule, detectionAgreement } from './detections';

export type Metric = 'top-1' | 'exact-match' | 'f1' | 'map' | 'mse' | 'mae' | 'outputs' | 'detections';

/** How figures of a metric are called in reports. */
export const METRIC_TITLES: Readonly<Record<Metric, string>> = {
  'top-1': 'accuracy',
  'exact-match': 'exact matches',
  f1: 'F1',
  map: 'mean average precision',
  mse: 'R² (1 − MSE / variance)',
  mae: '1 − MAE / mean deviation',
  outputs: 'agreement of the outputs',
  detections: 'agreement of the detections',
};

/** Values of one output: [count, width]. */
export interface Answers {
  readonly width: number;
  readonly values: Float32Array;
  /** True for class numbers and other whole numbers, which are right or wrong. */
  readonly whole?: boolean;
}

/** What answers are held against where that is not one class a sample. */
export interface Truth {
  readonly metric: Exclude<Metric, 'top-1'>;
  readonly outputs: ReadonlyArray<Answers & { readonly name: string }>;
  /** Scores above it say yes, for labels. */
  readonly threshold: number;
  /** How outputs are read as detections, for that metric. */
  readonly detection?: DetectionRule;
}

/** The score above which an output says yes: 0.5 behind a sigmoid, else 0, which is the same of raw scores. */
export function thresholdOf(model: Model, output: string): number {
  return endsInSigmoid(model, output) ? 0.5 : 0;
}

/** True where an output is a sigmoid's, seen through operators that only reshape. */
export function endsInSigmoid(model: Model, output: string): boolean {
  let name = output;
  for (;;) {
    const node = model.graph.nodes.find((n) => n.outputs[0] === name);
    if (!node) return false;
    if (node.opType === 'Sigmoid') return true;
    const passes = ['Identity', 'Reshape', 'Flatten', 'Squeeze', 'Unsqueeze', 'Transpose'].includes(node.opType);
    const toFloat = node.opType === 'Cast' && attr.int(node, 'to', 1) === 1;
    if (!passes && !toFloat) return false;
    name = node.inputs[0];
  }
}

/** The score of a model's answers, in [0, 1]. @throws Error where an answer's size is not the truth's */
export function scoreOf(truth: Truth, answers: ReadonlyMap<string, Answers>): number {
  if (truth.metric === 'detections') return detectionScore(truth, answers);
  let sum = 0;
  for (const wanted of truth.outputs) {
    const given = answers.get(wanted.name);
    if (given?.values.length !== wanted.values.length)
      throw new Error(`output '${wanted.name}' has ${given?.values.length ?? 'no'} values where ${wanted.values.length} belong`);
    sum += outputScore(truth, wanted, given.values);
  }
  return sum / truth.outputs.length;
}

function detectionScore({ outputs, detection }: Truth, answers: ReadonlyMap<string, Answers>): number {
  const rule = detection!;
  const wanted = new Map<string, Answers>(outputs.map((o) => [o.name, o]));
  const both = (from: ReadonlyMap<string, Answers>) => ({ boxes: from.get(rule.boxes)!.values, scores: from.get(rule.scores)!.values });
  const { width, values } = wanted.get(rule.boxes)!;
  return detectionAgreement(both(wanted), both(answers), values.length / width, rule);
}

function outputScore({ metric, threshold }: Truth, { values: y, width, whole }: Answers, given: Float32Array): number {
  switch (metric) {
    case 'exact-match':
      return exactMatch(y, given, width, threshold);
    case 'f1':
      return f1(y, given, threshold);
    case 'map':
      return meanAveragePrecision(y, given, width);
    case 'mse':
    case 'mae': {
      let sum = 0;
      for (let c = 0; c < width; c++) sum += explained(y, given, width, [c], metric);
      return Math.max(0, sum / width);
    }
    case 'detections':
      throw new Error('detections are scored over both outputs at once');
    case 'outputs':
      if (whole) return y.reduce((right, v, i) => right + Number(v === given[i]), 0) / y.length;
      return Math.max(0, explained(y, given, width, undefined, 'mse'));
  }
}

function exactMatch(y: Float32Array, given: Float32Array, width: number, threshold: number): number {
  const count = y.length / width;
  let right = 0;
  for (let i = 0; i < count; i++) {
    let all = true;
    for (let c = i * width; c < (i + 1) * width; c++) all &&= given[c] > threshold === y[c] > 0.5;
    if (all) right++;
  }
  return right / count;
}

function f1(y: Float32Array, given: Float32Array, threshold: number): number {
  let [both, either] = [0, 0];
  for (let i = 0; i < y.length; i++) {
    const [truth, said] = [y[i] > 0.5, given[i] > threshold];
    if (truth && said) both++;
    either += Number(truth) + Number(said);
  }
  // Nothing to find and nothing found is all right.
  return either === 0 ? 1 : (2 * both) / either;
}

function meanAveragePrecision(y: Float32Array, given: Float32Array, width: number): number {
  const count = y.length / width;
  let [sum, labels] = [0, 0];
  for (let c = 0; c < width; c++) {
    const order = Array.from({ length: count }, (_, i) => i * width + c).sort((a, b) => given[b] - given[a]);
    const positives = order.filter((i) => y[i] > 0.5).length;
    // A label that no sample has cannot be ranked.
    if (positives === 0) continue;
    labels++;
    let [found, precisionSum] = [0, 0];
    for (let k = 0; k < count; ) {
      // Samples of equal score come at once.
      let next = k;
      let more = 0;
      while (next < count && given[order[next]] === given[order[k]]) more += Number(y[order[next++]] > 0.5);
      found += more;
      precisionSum += (more / positives) * (found / next);
      k = next;
    }
    sum += precisionSum;
  }
  return labels === 0 ? 1 : sum / labels;
}

/** 1 − error / spread over some columns (default all), with the error squared or absolute; not below any bound. Without spread, 1 where there is no error. */
function explained(
  y: Float32Array,
  given: Float32Array,
  width: number,
  columns: readonly number[] | undefined,
  kind: 'mse' | 'mae',
): number {
  const count = y.length / width;
  let [error, spread] = [0, 0];
  for (const c of columns ?? Array.from({ length: width }, (_, i) => i)) {
    let centre: number;
    if (kind === 'mse') {
      let sum = 0;
      for (let i = c; i < y.length; i += width) sum += y[i];
      centre = sum / count;
    } else {
      const sorted = Float32Array.from({ length: count }, (_, i) => y[i * width + c]).sort();
      centre = (sorted[(count - 1) >> 1] + sorted[count >> 1]) / 2;
    }
    for (let i = c; i < y.length; i += width) {
      const [e, s] = [y[i] - given[i], y[i] - centre];
      error += kind === 'mse' ? e * e : Math.abs(e);
      spread += kind === 'mse' ? s * s : Math.abs(s);
    }
  }
  if (spread === 0) return error === 0 ? 1 : 0;
  return Number.isFinite(error) ? 1 - error / spread : 0;
}

/** The first rows of a truth. */
export const firstTruth = (truth: Truth, count: number): Truth => ({
  ...truth,
  outputs: truth.outputs.map((o) => ({ ...o, values: o.values.subarray(0, count * o.width) })),
});
