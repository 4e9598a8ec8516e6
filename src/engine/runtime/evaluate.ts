/** Accuracy of a model on a set of inputs held in memory. */
import { UserError } from '../errors';
import type { Model, ValueInfo } from '../onnx/model';
import { elementCount } from '../onnx/tensor';
import { floatTensor, Session, type SessionOptions } from './onnxruntime';

/** Normalised inputs with the class of each: the truth, or the original model's own answer where there are no labels. */
export interface ScoringSet {
  /** [count, ...shape], float32. */
  readonly inputs: Float32Array;
  /** Shape of one sample. */
  readonly shape: readonly number[];
  readonly labels: Int32Array;
  readonly count: number;
}

const BATCH = 125;

/** The input that data is fed to, and the output that holds class scores. @throws UserError where the model has not exactly one input */
export function scoringSignature(model: Model): { input: ValueInfo; output: ValueInfo; fixedBatch?: number } {
  const { inputs, outputs } = model.graph;
  if (inputs.length !== 1) {
    throw new UserError(
      `the model has ${inputs.length} inputs (${inputs.map((i) => i.name).join(', ')}); exactly one is needed to score it on images`,
    );
  }
  const lead = inputs[0].shape?.[0];
  return { input: inputs[0], output: outputs[0], fixedBatch: typeof lead === 'number' ? lead : undefined };
}

/** @throws UserError where samples of this shape do not fit the model's input */
export function checkFits(model: Model, shape: readonly number[], what: string): void {
  const { input } = scoringSignature(model);
  const wanted = input.shape?.slice(1);
  if (!wanted) return;
  const fits = wanted.length === shape.length && wanted.every((d, i) => typeof d !== 'number' || d === shape[i]);
  if (!fits) {
    throw new UserError(
      `${what} has samples of shape [${shape.join(', ')}], but the model's input '${input.name}' takes [${wanted.map((d) => d || '?').join(', ')}]`,
      'Choose the data set the model was made for, or set "data" in the config.',
    );
  }
}

/** Scores [count, classes] of a model on inputs, batch by batch. */
export async function predict(
  model: Model | Uint8Array,
  signature: { input: { name: string }; output: { name: string }; fixedBatch?: number },
  set: { inputs: Float32Array; shape: readonly number[]; count: number },
  options: SessionOptions & { signal?: AbortSignal } = {},
): Promise<{ scores: Float32Array; classes: number }> {
  const session = await Session.create(model, options);
  try {
    const size = elementCount(set.shape);
    const batch = signature.fixedBatch ?? BATCH;
    let scores = new Float32Array(0);
    let classes = 0;
    for (let from = 0; from < set.count; from += batch) {
      options.signal?.throwIfAborted();
      const rows = Math.min(batch, set.count - from);
      let inputs = set.inputs.subarray(from * size, (from + rows) * size);
      const fed = signature.fixedBatch ?? rows;
      if (rows < fed) {
        const padded = new Float32Array(fed * size);
        padded.set(inputs);
        inputs = padded;
      }
      const result = await session.run({ [signature.input.name]: floatTensor(inputs, [fed, ...set.shape]) }, [signature.output.name]);
      const data = result[signature.output.name].data as Float32Array;
      classes = data.length / fed;
      if (scores.length === 0) scores = new Float32Array(set.count * classes);
      scores.set(data.subarray(0, rows * classes), from * classes);
    }
    return { scores, classes };
  } finally {
    await session.release();
  }
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

/** Fraction of samples whose largest score is their label, in [0, 1]. */
export async function accuracyOf(model: Model, set: ScoringSet, options: SessionOptions & { signal?: AbortSignal } = {}): Promise<number> {
  const { scores, classes } = await predict(model, scoringSignature(model), set, options);
  const predicted = argmaxRows(scores, classes);
  let right = 0;
  for (let i = 0; i < set.count; i++) if (predicted[i] === set.labels[i]) right++;
  return right / set.count;
}
