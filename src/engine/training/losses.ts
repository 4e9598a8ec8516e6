/**
 * Training losses of class scores, as graph nodes with their exact gradients. All are means over the batch.
 * - cross-entropy, with label smoothing (Szegedy et al. 2016, §7): targets (1−ε)·onehot + ε/classes
 * - distillation (Hinton, Vinyals, Dean 2015, §2): T²·KL(softmax(teacher/T) ‖ softmax(student/T)); T² keeps gradients of one size for all T
 * - squared distance of the scores, ‖student − teacher‖² (Ba, Caruana 2014; used by N2N)
 */
import type { GraphBuilder, Value } from '../ops/builder';
import { emit, total } from './emit';

export interface LossOptions {
  /** Weight of cross-entropy with the labels; default 1. With 0 no labels are needed. */
  readonly crossEntropy?: number;
  /** ε of label smoothing, in [0, 1); default 0. */
  readonly labelSmoothing?: number;
  /** Soft targets of a teacher at a temperature (> 0), with their weight in the loss. */
  readonly distillation?: { readonly temperature: number; readonly weight: number };
  /** Weight of the squared distance between student and teacher scores; default 0. */
  readonly logitsDistance?: number;
  /** Weight of the distance to targets of one or more values a sample, in the place of classes; default 0. */
  readonly targets?: { readonly kind: TargetLoss; readonly weight: number };
}

/**
 * - squared-error: Σ (y − ŷ)², for values
 * - binary-cross-entropy: Σ −y·log σ(s) − (1 − y)·log(1 − σ(s)) of raw scores s, for several labels at once
 */
export type TargetLoss = 'squared-error' | 'binary-cross-entropy';

export const needsLabels = (loss: LossOptions): boolean => (loss.crossEntropy ?? 1) !== 0;
export const needsTargets = (loss: LossOptions): boolean => (loss.targets?.weight ?? 0) !== 0;
/** True where the output itself is aimed at, not scores behind a softmax or sigmoid. */
export const ofValues = (loss: LossOptions): boolean => loss.targets?.kind === 'squared-error';
export const needsTeacher = (loss: LossOptions): boolean => (loss.distillation?.weight ?? 0) !== 0 || (loss.logitsDistance ?? 0) !== 0;

/** @throws RangeError where a weight, ε or T is out of its range, or where nothing is left to minimise */
export function checkLoss(loss: LossOptions): void {
  const { crossEntropy = 1, labelSmoothing = 0, distillation, logitsDistance = 0, targets } = loss;
  const weights = [crossEntropy, distillation?.weight ?? 0, logitsDistance, targets?.weight ?? 0];
  if (weights.some((w) => !(w >= 0 && Number.isFinite(w)))) throw new RangeError('loss weights must be 0 or more');
  if (weights.every((w) => w === 0)) throw new RangeError('all loss weights are 0: nothing would be learned');
  if (!(labelSmoothing >= 0 && labelSmoothing < 1)) throw new RangeError(`label smoothing must be in [0, 1), not ${labelSmoothing}`);
  if (distillation && !(distillation.temperature > 0))
    throw new RangeError(`the distillation temperature must be above 0, not ${distillation.temperature}`);
}

export interface EmittedLoss {
  /** Scalar. */
  readonly loss: Value;
  /** Of the loss by the scores, [N, classes]. */
  readonly gradient: Value;
  /** How many samples' highest score is at the label (with no labels: at the teacher's highest), as a float scalar. */
  readonly correct: Value;
}

/**
 * @param logits class scores [N, classes]
 * @param labels class of each sample, int64 [N]; needed where cross-entropy has a weight
 * @param teacher scores [N, classes]; needed for distillation
 * @param aims targets [N, values], the size of the scores
 */
export function emitLoss(
  b: GraphBuilder,
  logits: Value,
  labels: Value | undefined,
  teacher: Value | undefined,
  options: LossOptions,
  aims?: Value,
): EmittedLoss {
  checkLoss(options);
  const { crossEntropy = 1, labelSmoothing = 0, distillation, logitsDistance = 0, targets } = options;
  const shape = logits.shape;
  const [n, classes] = shape;
  const terms: Value[] = [];
  const gradients: Value[] = [];
  const scaled = (value: Value, factor: number): Value => (factor === 1 ? value : emit(b, 'Mul', [value, b.scalar(factor)], value.shape));
  const softmax = (value: Value): Value => emit(b, 'Softmax', [value], shape, { axis: 1 });
  const logSoftmax = (value: Value): Value => emit(b, 'LogSoftmax', [value], shape, { axis: 1 });
  const difference = (a: Value, c: Value): Value => emit(b, 'Sub', [a, c], shape);

  if (crossEntropy !== 0) {
    if (!labels) throw new Error('cross-entropy needs labels');
    const off = labelSmoothing / classes;
    const values = b.floats(b.fresh('one_hot_values'), [2], Float32Array.of(off, 1 - labelSmoothing + off));
    const targets = emit(b, 'OneHot', [labels, b.ints([classes]), values], shape, { axis: 1 });
    const logs = logSoftmax(logits);
    terms.push(scaled(total(b, emit(b, 'Mul', [logs, targets], shape)), -crossEntropy / n));
    gradients.push(scaled(difference(emit(b, 'Exp', [logs], shape), targets), crossEntropy / n));
  }
  if (distillation && distillation.weight !== 0) {
    if (!teacher) throw new Error('distillation needs teacher scores');
    const { temperature: t, weight } = distillation;
    const student = scaled(logits, 1 / t);
    const target = scaled(teacher, 1 / t);
    const probability = softmax(target);
    const divergence = emit(b, 'Mul', [probability, difference(logSoftmax(target), logSoftmax(student))], shape);
    terms.push(scaled(total(b, divergence), (weight * t * t) / n));
    gradients.push(scaled(difference(softmax(student), probability), (weight * t) / n));
  }
  if (logitsDistance !== 0) {
    if (!teacher) throw new Error('the distance of scores needs teacher scores');
    const d = difference(logits, teacher);
    terms.push(scaled(total(b, emit(b, 'Mul', [d, d], shape)), logitsDistance / n));
    gradients.push(scaled(d, (2 * logitsDistance) / n));
  }
  if (targets && targets.weight !== 0) {
    if (!aims) throw new Error('the loss needs targets');
    if (targets.kind === 'squared-error') {
      const d = difference(logits, aims);
      terms.push(scaled(total(b, emit(b, 'Mul', [d, d], shape)), targets.weight / n));
      gradients.push(scaled(d, (2 * targets.weight) / n));
    } else {
      // −y·log σ(s) − (1 − y)·log(1 − σ(s)) = softplus(s) − y·s, which stays finite for every s.
      const softplus = emit(b, 'Softplus', [logits], shape);
      terms.push(scaled(total(b, difference(softplus, emit(b, 'Mul', [aims, logits], shape))), targets.weight / n));
      gradients.push(scaled(difference(emit(b, 'Sigmoid', [logits], shape), aims), targets.weight / n));
    }
  }
  const sum = (values: readonly Value[]): Value => values.reduce((a, c) => emit(b, 'Add', [a, c], a.shape));
  return { loss: sum(terms), gradient: sum(gradients), correct: emitCorrect(b, logits, labels, teacher) };
}

function emitCorrect(b: GraphBuilder, logits: Value, labels: Value | undefined, teacher: Value | undefined): Value {
  const n = logits.shape[0];
  const best = (value: Value): Value => b.op('ArgMax', [value], { axis: 1, keepdims: 0 }, { types: [{ type: 'int64', shape: [n] }] });
  // Where there are no classes, nothing is right or wrong.
  const truth = labels ?? (teacher && best(teacher));
  if (!truth) return b.scalar(0);
  const equal = b.op('Equal', [best(logits), truth], {}, { types: [{ type: 'bool', shape: [n] }] });
  return total(b, emit(b, 'Cast', [equal], [n], { to: 1 }));
}
