import { expect, test } from 'vitest';
import { lenet5 } from '../architectures/lenet5';
import { findChannelGroups } from '../graph/channel-groups';
import { withGraph } from '../onnx/model';
import { Tensor } from '../onnx/tensor';
import { Random } from '../random';
import { Trainer, type TrainingBatch } from '../training/trainer';
import { taylorScores } from './taylor';

test('scores are Σ |w·g|, with the gradient that finite differences of the loss give', async () => {
  const random = new Random(1);
  const model = lenet5.build({ classes: 10, random });
  const { groups } = findChannelGroups(model);
  const batch: TrainingBatch = {
    inputs: Float32Array.from({ length: 8 * 28 * 28 }, () => random.normal()),
    labels: Int32Array.from({ length: 8 }, () => random.below(10)),
  };
  const scores = await taylorScores(model, groups, [batch]);
  expect([...scores.keys()]).toEqual(groups.map((g) => g.id));

  // The group of the first linear layer's outputs, say: its channel scores, relative to their mean, by hand for a channel.
  const group = groups[0];
  const { tensor, axis, positions } = group.producers[0];
  const weight = model.graph.initializers.get(tensor)!;
  const inner = weight.dims.slice(axis + 1).reduce((a, b) => a * b, 1);
  const lossAt = async (index: number, change: number): Promise<number> => {
    const data = weight.floats().slice() as Float32Array;
    data[index] += change;
    const initializers = new Map(model.graph.initializers).set(tensor, Tensor.float32(tensor, weight.dims, data));
    const trainer = await Trainer.create(withGraph(model, { initializers }), { batch: 8, momentum: 0, weightDecay: 0, threads: 1 });
    const { loss } = await trainer.step(batch, 0);
    await trainer.dispose();
    return loss;
  };
  const values = weight.floats();
  const byHand = async (channel: number): Promise<number> => {
    let sum = 0;
    for (let i = 0; i < inner; i++) {
      const index = positions[channel][0] * inner + i;
      sum += Math.abs((values[index] * ((await lossAt(index, 1e-2)) - (await lossAt(index, -1e-2)))) / 2e-2);
    }
    return sum;
  };
  const own = scores.get(group.id)!;
  const [a, b] = [await byHand(0), await byHand(1)];
  expect(own[0] / own[1]).toBeCloseTo(a / b, 1);
});
