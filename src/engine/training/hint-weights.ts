/**
 * What each channel of an inner value is worth: how far the scores move when it does. A hint holds the student to all values of the original;
 * weighted so, it minds those most that the answers hang on (the diagonal of the Gauss-Newton matrix of the scores by the value, summed over
 * positions; its square root, so that no channel is given up).
 */
import { UserError } from '../errors';
import type { Model } from '../onnx/model';
import { Random } from '../random';
import type { SessionOptions } from '../runtime/onnxruntime';
import type { BatchSource } from './fit';
import type { ChannelWeights } from './hints';
import { ofValues } from './losses';
import { Teacher } from './teacher';
import { Trainer } from './trainer';
import type { TrainingGraphOptions } from './training-graph';

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
    const teacher = await Teacher.create([model], batch, { threads, values: [...axes.keys()], asWritten: ofValues(loss) });
    try {
      const random = new Random(0);
      const energies = new Map<string, Float64Array>();
      const effects = new Map<string, Float64Array>();
      let measured = 0;
      for await (const { inputs, count } of source.batches(0)) {
        signal?.throwIfAborted();
        if (count !== batch) continue;
        const { logits, values: inner } = await teacher.answer(inputs);
        // The gradient of the squared distance is then ± the same everywhere.
        const teacherLogits = logits.map((s) => s + (random.uniform() < 0.5 ? 1 : -1));
        await trainer.step({ inputs, teacherLogits }, 0);
        for (const { name } of trainer.graph.observed) {
          const effect = trainer.observed(name);
          add(effects, name, effect);
          add(energies, name, energyOfChannels(inner.get(name)!, effect.length, axes.get(name) === 1 ? batch : undefined));
        }
        if (++measured === BATCHES) break;
      }
      return new Map(
        [...effects].map(([name, effect]) => [
          name,
          { axis: axes.get(name)!, weights: normalized(effect.map(Math.sqrt), energies.get(name)!) },
        ]),
      );
    } finally {
      await teacher.dispose();
    }
  } finally {
    await trainer.dispose();
  }
}

/** A trainer that observes the gradients' energies; undefined where there is an operator that gradients cannot pass (a quantised original). */
async function differentiated(
  model: Model,
  gradientEnergies: ReadonlyMap<string, number>,
  { batch, threads, loss = {}, trainable }: MeasuringOptions,
): Promise<Trainer | undefined> {
  const { targets } = loss;
  try {
    return await Trainer.create(model, {
      batch,
      threads,
      trainable,
      gradientEnergies,
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

function add(sums: Map<string, Float64Array>, name: string, values: Float32Array | Float64Array): void {
  const sum = sums.get(name) ?? new Float64Array(values.length);
  values.forEach((v, i) => {
    sum[i] += v;
  });
  sums.set(name, sum);
}

/** @param rows samples, where the channels come right behind them; absent: the channels come last */
function energyOfChannels(values: Float32Array, channels: number, rows?: number): Float64Array {
  const run = rows === undefined ? 1 : values.length / (rows * channels);
  const energy = new Float64Array(channels);
  for (let i = 0; i < values.length; i++) energy[Math.floor(i / run) % channels] += values[i] ** 2;
  return energy;
}

/** Scaled such that Σ weight·energy = Σ energy; all 1 where nothing has an effect. */
function normalized(weights: Float64Array, energy: Float64Array): Float32Array {
  const sum = (values: Float64Array): number => values.reduce((a, v) => a + v, 0);
  const factor = sum(energy) / sum(weights.map((w, i) => w * energy[i]));
  return Float32Array.from(weights, (w) => (Number.isFinite(factor) ? w * factor : 1));
}
