/** First-order Taylor importance (Molchanov et al. 2017, "Pruning Convolutional Neural Networks for Resource Efficient Inference"; 2019 on weights). */
import type { ChannelGroup } from '../graph/channel-group';
import { type Model, withGraph } from '../onnx/model';
import { Tensor } from '../onnx/tensor';
import { Random } from '../random';
import { Trainer, type TrainingBatch } from '../training/trainer';
import { l1 } from './l1';

/**
 * Scores each group's channels by Σ |w·∂L/∂w| over their weights, summed over the batches: how much the loss would change, to first order and
 * weight by weight, if they were zero.
 * @param batches all of one size, with labels
 * @returns scores by group id; higher stays
 */
export async function taylorScores(
  model: Model,
  groups: readonly ChannelGroup[],
  batches: readonly TrainingBatch[],
  { threads = 1 } = {},
): Promise<Map<string, Float64Array>> {
  // Without momentum and decay, velocities are the gradients of the last step; at rate 0 the weights stay where they are.
  const trainer = await Trainer.create(model, { batch: batches[0].labels!.length, momentum: 0, weightDecay: 0, threads });
  const importance = new Map<string, Float32Array>();
  try {
    for (const batch of batches) {
      await trainer.step(batch, 0);
      const { weights, velocities } = trainer.state();
      for (const [name, gradient] of Object.entries(velocities)) {
        const weight = weights[name];
        const sum = importance.get(name) ?? new Float32Array(weight.length);
        for (let i = 0; i < sum.length; i++) sum[i] += Math.abs(weight[i] * gradient[i]);
        importance.set(name, sum);
      }
    }
  } finally {
    await trainer.dispose();
  }
  const initializers = new Map(model.graph.initializers);
  for (const [name, values] of importance) {
    const tensor = initializers.get(name);
    if (tensor) initializers.set(name, Tensor.float32(name, tensor.dims, values));
  }
  const products = withGraph(model, { initializers });
  return new Map(groups.map((g) => [g.id, l1.score(g, products, new Random(0))]));
}
