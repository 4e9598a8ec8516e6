/**
 * Hints: a network that was cut learns to give what its original gave inside, not only at the end (Romero et al. 2015, "FitNets: Hints for
 * Thin Deep Nets", §2.2, without the regressor: where widths are still the same, values compare as they are). An image then teaches with
 * thousands of numbers instead of a label, so a short fine-tuning gets back more.
 */
import { inferTypes } from '../graph/infer';
import { type Model, withGraph } from '../onnx/model';
import { normalizeAxis } from '../ops/axes';
import { findOperator } from '../ops/registry';
import { emit, total } from './emit';
import { ancestors, logitsName } from './logits';
import type { ValueTransform } from './training-graph';

const LAYERS = new Set(['Conv', 'Gemm', 'MatMul']);

/**
 * The outputs of a model that training can aim at: the first, and of the others those that are floats reached through operators with gradients (boxes beside
 * scores; not what non-maximum suppression leaves).
 */
export function trainedOutputs(model: Model): string[] {
  const { types } = inferTypes(model, { batch: 1 });
  const [first, ...others] = model.graph.outputs.map((o) => o.name);
  const smooth = (name: string): boolean =>
    types.get(name)?.type === 'float32' &&
    ancestors(model, [name]).every(
      (n) =>
        findOperator(n.opType, n.domain)?.gradient !== undefined ||
        n.outputs.every((o) => types.get(o)?.type !== 'float32' || types.get(o)?.value),
    );
  return [first, ...others.filter(smooth)];
}

/**
 * Values that both networks have under one name and shape and that a layer reads: the ends of residual blocks, mostly.
 * Of several outputs those that the loss itself does not aim at are among them. Empty where every width has changed.
 */
export function hintValues(student: Model, teacher: Model): string[] {
  const [own, its] = [student, teacher].map((model) => inferTypes(model, { batch: 1 }).types);
  const inputs = new Set(student.graph.inputs.map((i) => i.name));
  const made = new Set(teacher.graph.nodes.flatMap((n) => n.outputs));
  const [, ...heads] = trainedOutputs(student);
  const read = ancestors(student, [logitsName(student), ...heads]).flatMap((n) => (LAYERS.has(n.opType) ? [n.inputs[0]] : []));
  return [...new Set([...read, ...heads])].filter((name) => {
    const [a, c] = [own.get(name), its.get(name)];
    if (inputs.has(name) || !made.has(name) || a?.type !== 'float32' || a.value || !a.shape || !c?.shape) return false;
    return a.shape.length > 1 && a.shape.length === c.shape.length && a.shape.every((d, axis) => d === c.shape![axis]);
  });
}

export interface ChannelWeights {
  /** Negative: from the end. */
  readonly axis: number;
  /** One for each channel. */
  readonly weights: Float32Array;
}

/**
 * The loss gains weight/n · Σ over the n values of ‖own − teacher's‖²/‖teacher's‖², each norm over the whole batch: relative errors, so that
 * early and late values count alike. Each value is fed under its own name (`TrainingBatch.fed`).
 * @param channels by name of a value: its axis of channels, and what the squared error of each counts (see `hint-weights.ts`)
 */
export function hintTransforms(
  values: readonly string[],
  weight: number,
  channels: ReadonlyMap<string, ChannelWeights> = new Map(),
): Map<string, ValueTransform> {
  if (!(weight > 0)) throw new RangeError(`the weight of hints must be above 0, not ${weight}`);
  const transform =
    (name: string): ValueTransform =>
    ({ tape, feed, addLoss }, value) => {
      const { b } = tape;
      const target = feed(name, value.shape);
      const energy = emit(b, 'Add', [total(b, emit(b, 'Mul', [target, target], target.shape)), b.scalar(1e-12)], []);
      const factor = emit(b, 'Div', [b.scalar(weight / values.length), energy], []);
      const d = tape.op('Sub', [value, target]);
      const all = value.shape.map((_, axis) => axis);
      const own = channels.get(name);
      const kept = own && normalizeAxis(own.axis, all.length);
      const summed = tape.op('ReduceSum', [tape.op('Mul', [d, d]), b.ints(all.filter((axis) => axis !== kept))], { keepdims: 0 });
      const squares = own
        ? tape.op('ReduceSum', [tape.op('Mul', [summed, b.floats(b.fresh('hint_weights'), summed.shape, own.weights)]), b.ints([0])], {
            keepdims: 0,
          })
        : summed;
      addLoss(tape.op('Mul', [squares, factor]));
      return value;
    };
  return new Map(values.map((name) => [name, transform(name)]));
}

/** A model that gives these values beside its own outputs. */
export function withValues(model: Model, values: readonly string[]): Model {
  const known = new Set(model.graph.outputs.map((o) => o.name));
  const extra = values.filter((name) => !known.has(name)).map((name) => ({ name, type: 'float32' as const, shape: undefined }));
  return withGraph(model, { outputs: [...model.graph.outputs, ...extra] });
}
