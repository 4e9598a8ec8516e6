/**
 * Fine-tuning of shared weights (Han, Mao, Dally 2016, "Deep Compression", section 3.3): the gradients of all weights of a cluster are
 * summed, and the sum moves their one value. Which weight shares with which stays as it was, and so do zeros.
 */
import type { Model } from '../onnx/model';
import { type BatchSource, type FitOptions, type FitResult, fitModel } from './fit';
import type { Trainer } from './trainer';

/** Which weights of a tensor have the same value: an index for each, −1 for those held at zero. */
export interface Sharing {
  readonly cluster: Int32Array;
  readonly clusters: number;
}

/** Of a tensor's weights as they are: equal values share, zeros are held. */
export function sharingOf(weights: Float32Array): Sharing {
  const indexOf = new Map<number, number>();
  const cluster = Int32Array.from(weights, (w) => {
    if (w === 0) return -1;
    let index = indexOf.get(w);
    if (index === undefined) {
      index = indexOf.size;
      indexOf.set(w, index);
    }
    return index;
  });
  return { cluster, clusters: indexOf.size };
}

/**
 * Trains a model whose named weights share values; every other parameter is trained as usual. A step of SGD, with momentum, moves each
 * weight of a cluster by its own amount; their sum is the step of the shared value, as sums and momentum exchange.
 * @param weights initializer names; the learning rate is that of a sum over thousands of weights, and so small (1e-5 to 1e-3)
 */
export function tuneSharedWeights(
  model: Model,
  weights: readonly string[],
  source: BatchSource,
  options: Omit<FitOptions, 'onStep' | 'onResume' | 'masks' | 'weightDecay'>,
): Promise<FitResult> {
  const initial = new Map(weights.map((name) => [name, model.graph.initializers.get(name)!.floats()]));
  const sharing = new Map([...initial].map(([name, values]) => [name, sharingOf(values)]));
  const shared = new Map([...initial].map(([name, values]) => [name, valuesOf(values, sharing.get(name)!)]));
  return fitModel(model, source, {
    ...options,
    // Decay would pull each value with the strength of all its weights.
    weightDecay: 0,
    masks: new Map([...initial].map(([name, values]) => [name, Float32Array.from(values, (v) => (v === 0 ? 0 : 1))])),
    onResume: (trainer) => {
      for (const [name, own] of sharing) shared.set(name, valuesOf(trainer.parameter(name), own));
    },
    onStep: (trainer) => {
      for (const [name, own] of sharing) share(trainer, name, own, shared.get(name)!);
    },
  });
}

/** Value of each cluster, from weights that share. */
function valuesOf(weights: Float32Array, { cluster, clusters }: Sharing): Float32Array {
  const values = new Float32Array(clusters);
  cluster.forEach((c, i) => {
    if (c >= 0) values[c] = weights[i];
  });
  return values;
}

/** Takes the weights' own steps together, and gives every weight of a cluster the value that follows. */
function share(trainer: Trainer, name: string, { cluster, clusters }: Sharing, values: Float32Array): void {
  const weights = trainer.parameter(name);
  const steps = new Float64Array(clusters);
  for (let i = 0; i < cluster.length; i++) if (cluster[i] >= 0) steps[cluster[i]] += weights[i] - values[cluster[i]];
  for (let c = 0; c < clusters; c++) values[c] += steps[c];
  for (let i = 0; i < cluster.length; i++) weights[i] = cluster[i] < 0 ? 0 : values[cluster[i]];
}
