/**
 * The mean of the weights over the last steps of a training (Izmailov et al. 2018, "Averaging Weights Leads to Wider Optima and Better
 * Generalization", §3, here over steps instead of epochs): steps of SGD circle around a point that is better than most of them.
 */
import { type Model, withGraph } from '../onnx/model';
import { Tensor } from '../onnx/tensor';

/** Plain data, fit for `node:v8` serialisation. */
export interface WeightMeanState {
  readonly count: number;
  readonly means: Readonly<Record<string, Float32Array>>;
}

export class WeightMean {
  private count = 0;
  private readonly means = new Map<string, Float32Array>();

  constructor(state?: WeightMeanState) {
    if (!state) return;
    this.count = state.count;
    for (const [name, mean] of Object.entries(state.means)) this.means.set(name, mean.slice());
  }

  /** @param values of one step, by name; the same names and lengths each time */
  add(values: ReadonlyMap<string, Float32Array>): void {
    this.count++;
    for (const [name, value] of values) {
      let mean = this.means.get(name);
      if (!mean) {
        mean = new Float32Array(value.length);
        this.means.set(name, mean);
      }
      for (let i = 0; i < value.length; i++) mean[i] += (value[i] - mean[i]) / this.count;
    }
  }

  /** The model with the means in place of its tensors of these names. */
  in(model: Model): Model {
    const initializers = new Map(model.graph.initializers);
    for (const [name, mean] of this.means) {
      const present = initializers.get(name);
      if (present) initializers.set(name, Tensor.float32(name, present.dims, mean.slice()));
    }
    return withGraph(model, { initializers });
  }

  state(): WeightMeanState {
    return { count: this.count, means: Object.fromEntries([...this.means].map(([name, mean]) => [name, mean.slice()])) };
  }
}
