/**
 * What each channel of an inner value is worth: how far the scores move when it does. A hint holds the student to all values of the original;
 * weighted so, it minds those most that the answers hang on (the diagonal of the Gauss-Newton matrix of the scores by the value, summed over
 * positions; its square root, so that no channel is given up).
 */
import { UserError } from '../errors';
import type { Model } from '../onnx/model';
import { Random } from '../random';
import type { SessionOptions } from '../runtime/onnxruntime';
import { energyAlong } from './emit';
import type { BatchSource } from './fit';
import type { ChannelWeights } from './hints';
import { ofValues } from './losses';
import { Teacher } from './teacher';
import { Trainer } from './trainer';
import type { TrainingGraphOptions, ValueTransform } from './training-graph';

/** Batches that are measured. */
const BATCHES = 4;

/** Axis of the channels that layers read of a value; undefined where no layer reads it. */
function channelAxis(model: Model, name: string): number | undefined {
  const types = model.graph.nodes.filter((n) => n.inputs[0] === name).map((n) => n.opType);
  if (types.includes('Conv')) return 1;
  return types.some((t) => t === 'Gemm' || t === 'MatMul') ? -1 : undefined;
}

export interface MeasuringOptions extends Pick<SessionOptions, 'threads'>, Pick<TrainingGraphOptions, 'batch' | 'loss' | 'trainable'> {
  readonly signal?: AbortSignal;
}

/**
 * Weights of the channels of inner values, by name: the root of the mean squared gradient of the scores, each score taken with a random sign,
 * such that the weighted energy of the value is what it was. Values that no layer reads, or that the scores do not depend on, are absent, as are
 * all of a model that gradients cannot pass.
 * @param values of the model, as `hintValues` gives them
 * @param source its first batches are measured; the same source gives the same weights
 */
export async function channelWeights(
  model: Model,
  values: readonly string[],
  source: BatchSource,
  options: MeasuringOptions,
): Promise<Map<string, ChannelWeights>> {
  const axes = new Map(
    values.map((name) => [name, channelAxis(model, name)] as const).filter((e): e is [string, number] => e[1] !== undefined),
  );
  const trainer = await differentiated(model, axes, options);
  if (!trainer) return new Map();
  const { batch, threads, signal, loss = {} } = options;
  try {
    const teacher = await Teacher.create([model], batch, { threads, asWritten: ofValues(loss) });
    try {
      const random = new Random(0);
      const sums = new Map<string, Float64Array>();
      let measured = 0;
      for await (const { inputs, count } of source.batches(0)) {
        signal?.throwIfAborted();
        if (count !== batch) continue;
        const { logits } = await teacher.answer(inputs);
        // The gradient of the squared distance is then ± the same everywhere.
        const teacherLogits = logits.map((s) => s + (random.uniform() < 0.5 ? 1 : -1));
        await trainer.step({ inputs, teacherLogits }, 0);
        for (const { name } of trainer.graph.observed) {
          const sum = sums.get(name);
          const observed = trainer.observed(name);
          sums.set(name, sum ? sum.map((v, i) => v + observed[i]) : Float64Array.from(observed));
        }
        if (++measured === BATCHES) break;
      }
      const weights = new Map<string, ChannelWeights>();
      for (const [name, axis] of axes) {
        const effect = sums.get(name);
        if (effect) weights.set(name, { axis, weights: normalized(effect.map(Math.sqrt), sums.get(energyName(name))!) });
      }
      return weights;
    } finally {
      await teacher.dispose();
    }
  } finally {
    await trainer.dispose();
  }
}

const energyName = (value: string): string => `energy of ${value}`;

/**
 * A trainer that observes the energies of the gradients, under the values' names, and of the values; undefined where there is an operator that
 * gradients cannot pass (a quantised original).
 */
async function differentiated(
  model: Model,
  axes: ReadonlyMap<string, number>,
  { batch, threads, loss = {}, trainable }: MeasuringOptions,
): Promise<Trainer | undefined> {
  const { targets } = loss;
  const withEnergy =
    (name: string, axis: number): ValueTransform =>
    ({ tape, observe }, value) => {
      observe(energyName(name), energyAlong(tape.b, value, axis));
      return value;
    };
  try {
    return await Trainer.create(model, {
      batch,
      threads,
      trainable,
      gradientEnergies: axes,
      transforms: new Map([...axes].map(([name, axis]) => [name, withEnergy(name, axis)])),
      freezeBatchNorm: true,
      // Dropout draws.
      random: new Random(0),
      loss: { crossEntropy: 0, logitsDistance: 1, ...(targets && { targets: { ...targets, weight: 0 } }) },
    });
  } catch (e) {
    if (e instanceof UserError) return undefined;
    throw e;
  }
}

/** Scaled such that Σ weight·energy = Σ energy; all 1 where nothing has an effect. */
function normalized(weights: Float64Array, energy: Float64Array): Float32Array {
  const sum = (values: Float64Array): number => values.reduce((a, v) => a + v, 0);
  const factor = sum(energy) / sum(weights.map((w, i) => w * energy[i]));
  return Float32Array.from(weights, (w) => (Number.isFinite(factor) ? w * factor : 1));
}
