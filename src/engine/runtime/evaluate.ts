/** Accuracy of a model on a set of inputs held in memory. */
import { UserError } from '../errors';
import type { Model, ValueInfo } from '../onnx/model';
import { feedsOf, type SampleLayout, severalInputs } from './feeds';
import { type Answers, scoreOf, type Truth, thresholdOf } from './metrics';
import { type RuntimeTensor, Session, type SessionOptions } from './onnxruntime';

/** Normalised inputs with the class of each: the truth, or the original model's own answer where there are no labels. */
export interface ScoringSet extends SampleLayout {
  /** [count, ...shape], float32; with `fields`, rows of their values. */
  readonly inputs: Float32Array;
  /** Empty where there is a `truth`. */
  readonly labels: Int32Array;
  readonly count: number;
  /** What answers are held against where that is not one class a sample. */
  readonly truth?: Truth;
}

/** How data goes in and answers come out. */
export interface ScoringSignature {
  readonly inputs: readonly ValueInfo[];
  /** The first output: class scores, where there are classes. */
  readonly output: ValueInfo;
  /** The batch that the file fixes. */
  readonly fixedBatch?: number;
}

const BATCH = 125;
/** Bytes of inputs and outputs that one run may take, roughly: large images come in smaller batches. */
const RUN_BYTES = 64 * 2 ** 20;

/** The inputs that data is fed to, and the output that holds class scores. @throws UserError where the model has no input or no output */
export function scoringSignature(model: Model): ScoringSignature {
  const { inputs, outputs } = model.graph;
  if (inputs.length === 0 || outputs.length === 0)
    throw new UserError(`the model has no ${inputs.length === 0 ? 'input' : 'output'}, so it cannot be scored`);
  const lead = inputs.map((i) => i.shape?.[0]).find((d) => typeof d === 'number');
  return { inputs, output: outputs[0], fixedBatch: typeof lead === 'number' ? lead : undefined };
}

/** @throws UserError where samples of this form do not fit the model's inputs */
export function checkFits(model: Model, sample: SampleLayout, what: string): void {
  const { inputs } = scoringSignature(model);
  if (!sample.fields && inputs.length !== 1) throw severalInputs(inputs);
  for (const input of inputs) {
    const shape = sample.fields ? sample.fields.find((f) => f.name === input.name)?.shape : sample.shape;
    const wanted = input.shape?.slice(1);
    if (!wanted || !shape) continue;
    const fits = wanted.length === shape.length && wanted.every((d, i) => typeof d !== 'number' || d === shape[i]);
    if (!fits) {
      throw new UserError(
        `${what} has samples of shape [${shape.join(', ')}], but the model's input '${input.name}' takes [${wanted.map((d) => d || '?').join(', ')}]`,
        'Choose the data set the model was made for, or set "data" in the config.',
      );
    }
  }
}

/** Outputs of a model on inputs, batch by batch: each as [count, width]. @throws UserError where an output is not one row a sample */
export async function outputsOf(
  model: Model | Uint8Array,
  signature: Pick<ScoringSignature, 'inputs' | 'fixedBatch'>,
  outputs: readonly string[],
  set: SampleLayout & { readonly inputs: Float32Array; readonly count: number },
  options: SessionOptions & { signal?: AbortSignal } = {},
): Promise<Map<string, Answers>> {
  const session = await Session.create(model, options);
  try {
    const size = set.inputs.length / set.count;
    const batch = signature.fixedBatch ?? Math.max(1, Math.min(BATCH, Math.floor(RUN_BYTES / (4 * size))));
    const answers = new Map<string, { width: number; values: Float32Array; whole?: boolean }>();
    for (let from = 0; from < set.count; from += batch) {
      options.signal?.throwIfAborted();
      const rows = Math.min(batch, set.count - from);
      const fed = signature.fixedBatch ?? rows;
      const values = set.inputs.subarray(from * size, (from + rows) * size);
      const result = await session.run(feedsOf(signature.inputs, set, values, rows, fed), outputs);
      for (const name of outputs) {
        const { data, width, whole } = rowsOf(name, result[name], fed);
        let answer = answers.get(name);
        if (!answer) {
          answer = { width, values: new Float32Array(set.count * width), whole };
          answers.set(name, answer);
        }
        if (answer.width !== width)
          throw new UserError(`output '${name}' has ${width} values a sample in one batch and ${answer.width} in another`);
        answer.values.set(data.subarray(0, rows * width), from * width);
      }
    }
    return answers;
  } finally {
    await session.release();
  }
}

function rowsOf(name: string, tensor: RuntimeTensor, rows: number): { data: Float32Array; width: number; whole?: boolean } {
  const { data } = tensor;
  // A model of one sample at a time may leave the batch out.
  if (data.length % rows !== 0 || (rows > 1 && tensor.shape[0] !== rows)) {
    throw new UserError(
      `output '${name}' has the shape [${tensor.shape.join(', ')}] for ${rows} samples, so it is not clear which answer is whose`,
      'Export the model with the batch as the first axis of its outputs.',
    );
  }
  const width = data.length / rows;
  return data instanceof Float32Array ? { data, width } : { data: Float32Array.from(data as Int32Array, Number), width, whole: true };
}

/** Scores [count, classes] of a model on inputs, batch by batch. */
export async function predict(
  model: Model | Uint8Array,
  signature: ScoringSignature,
  set: SampleLayout & { readonly inputs: Float32Array; readonly count: number },
  options: SessionOptions & { signal?: AbortSignal } = {},
): Promise<{ scores: Float32Array; classes: number }> {
  const { values, width } = (await outputsOf(model, signature, [signature.output.name], set, options)).get(signature.output.name)!;
  return { scores: values, classes: width };
}

/** The class each row of scores names: the highest's, or with one score a sample, 1 where it is above the threshold. */
export function classAnswers(scores: Float32Array, classes: number, threshold: number): Int32Array {
  return classes === 1 ? Int32Array.from(scores, (s) => (s > threshold ? 1 : 0)) : argmaxRows(scores, classes);
}

/** Index of the largest score of each row; the first one on a tie. */
export function argmaxRows(scores: Float32Array, classes: number): Int32Array {
  const out = new Int32Array(scores.length / classes);
  for (let r = 0; r < out.length; r++) {
    let best = 0;
    for (let c = 1; c < classes; c++) if (scores[r * classes + c] > scores[r * classes + best]) best = c;
    out[r] = best;
  }
  return out;
}

/** Fraction of samples whose largest score is their label, in [0, 1]; where the set has another truth, the score of its metric. */
export async function accuracyOf(model: Model, set: ScoringSet, options: SessionOptions & { signal?: AbortSignal } = {}): Promise<number> {
  const signature = scoringSignature(model);
  const { truth } = set;
  if (truth) {
    const names = truth.outputs.map((o) => o.name);
    return scoreOf(truth, await outputsOf(model, signature, names, set, options));
  }
  const { scores, classes } = await predict(model, signature, set, options);
  const predicted = classAnswers(scores, classes, thresholdOf(model, signature.output.name));
  let right = 0;
  for (let i = 0; i < set.count; i++) if (predicted[i] === set.labels[i]) right++;
  return right / set.count;
}
