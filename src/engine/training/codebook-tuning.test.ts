import { expect, test } from 'vitest';
import type { Batch } from '../data/dataset';
import { type Model, withGraph } from '../onnx/model';
import { Tensor } from '../onnx/tensor';
import { sharingOf, tuneSharedWeights } from './codebook-tuning';
import type { BatchSource, FitState } from './fit';
import { fill, twoLayers } from './testing/networks';
import { Trainer } from './trainer';

const batchAt = (step: number): Batch => {
  const inputs = fill(8 * 3, 50 + step, 1);
  return { inputs, labels: Int32Array.from({ length: 8 }, (_, n) => (inputs[3 * n] > 0 ? 1 : 0)), count: 8 };
};
const source = (steps: number): BatchSource => ({
  batchesPerEpoch: steps,
  *batches(epoch): Iterable<Batch> {
    for (let i = 0; i < steps; i++) yield batchAt(epoch * steps + i);
  },
});

/** Weights of these values; 0 is held. */
const VALUES = [-0.6, -0.2, 0, 0.3, 0.7];
function sharedModel(values = VALUES): Model {
  const model = twoLayers(3, 10, 2);
  const initializers = new Map(model.graph.initializers);
  for (const name of ['first.weight', 'last.weight']) {
    const t = initializers.get(name)!;
    initializers.set(
      name,
      Tensor.float32(
        name,
        t.dims,
        Float32Array.from({ length: t.size }, (_, i) => values[(i * 7 + (i >> 2)) % 5]),
      ),
    );
  }
  return withGraph(model, { initializers });
}
const WEIGHTS = ['first.weight', 'last.weight'];
const plain = { batch: 8, threads: 1, momentum: 0 };

/** Loss of a model on a batch. */
async function lossOf(model: Model, batch: Batch): Promise<number> {
  const trainer = await Trainer.create(model, { ...plain, weightDecay: 0 });
  try {
    return (await trainer.step(batch, 0)).loss;
  } finally {
    await trainer.dispose();
  }
}

const withWeights = (model: Model, name: string, change: (w: number, i: number) => number): Model => {
  const t = model.graph.initializers.get(name)!;
  return withGraph(model, {
    initializers: new Map(model.graph.initializers).set(name, Tensor.float32(name, t.dims, t.floats().map(change))),
  });
};

/** The loss's slope as all weights of a cluster move together, by differences. */
async function slope(model: Model, name: string, cluster: number, batch: Batch): Promise<number> {
  const { cluster: of } = sharingOf(model.graph.initializers.get(name)!.floats());
  const step = 2e-3;
  const at = (t: number): Promise<number> =>
    lossOf(
      withWeights(model, name, (w, i) => (of[i] === cluster ? w + t : w)),
      batch,
    );
  return ((await at(step)) - (await at(-step))) / (2 * step);
}

const sharedValue = (model: Model, name: string, cluster: number, of: Int32Array): number =>
  model.graph.initializers.get(name)!.floats()[of.indexOf(cluster)];

test('a step moves each shared value by the gradient of the loss in that value, found by differences', async () => {
  const model = sharedModel();
  const rate = 0.01;
  const { model: tuned } = await tuneSharedWeights(model, WEIGHTS, source(1), { ...plain, epochs: 1, learningRate: () => rate });
  for (const name of WEIGHTS) {
    const { cluster, clusters } = sharingOf(model.graph.initializers.get(name)!.floats());
    expect(clusters).toBe(4);
    for (let c = 0; c < clusters; c++) {
      const moved = (sharedValue(tuned, name, c, cluster) - sharedValue(model, name, c, cluster)) / -rate;
      expect(moved).toBeCloseTo(await slope(model, name, c, batchAt(0)), 2);
    }
  }
});

test('momentum is that of the sum', async () => {
  const model = sharedModel();
  const rate = 0.01;
  const run = async (steps: number): Promise<Model> =>
    (await tuneSharedWeights(model, WEIGHTS, source(steps), { ...plain, momentum: 0.9, epochs: 1, learningRate: () => rate })).model;
  const [one, two] = [await run(1), await run(2)];
  const { cluster } = sharingOf(model.graph.initializers.get('last.weight')!.floats());
  const value = (m: Model): number => sharedValue(m, 'last.weight', 0, cluster);
  const first = (value(one) - value(model)) / -rate;
  // v₂ = 0.9·v₁ + g₂ (PyTorch's definition), g₂ at the point that the first step led to.
  expect((value(two) - value(one)) / -rate).toBeCloseTo(0.9 * first + (await slope(one, 'last.weight', 0, batchAt(1))), 2);
});

test('weights go on sharing and zeros stay, over epochs; the loss falls', async () => {
  const model = sharedModel();
  const { model: tuned, history } = await tuneSharedWeights(model, WEIGHTS, source(20), {
    ...plain,
    momentum: 0.9,
    epochs: 5,
    learningRate: { base: 0.02 },
  });
  expect(history.at(-1)!.loss).toBeLessThan(0.8 * history[0].loss);
  for (const name of WEIGHTS) {
    const before = model.graph.initializers.get(name)!.floats();
    const after = tuned.graph.initializers.get(name)!.floats();
    expect(new Set(after.filter((v) => v !== 0)).size).toBe(4);
    before.forEach((b, i) => {
      expect(after[i] === 0).toBe(b === 0);
      expect(after[i]).toBe(after[before.indexOf(b)]);
    });
  }
});

test('goes on from a checkpoint to the same end', async () => {
  const model = sharedModel();
  const options = { ...plain, momentum: 0.9, epochs: 4, learningRate: { base: 0.02 } };
  const states: FitState[] = [];
  const whole = await tuneSharedWeights(model, WEIGHTS, source(5), { ...options, onCheckpoint: (s) => void states.push(s) });
  const again = await tuneSharedWeights(model, WEIGHTS, source(5), { ...options, resumeFrom: structuredClone(states[1]) });
  for (const name of WEIGHTS)
    expect(again.model.graph.initializers.get(name)!.floats()).toEqual(whole.model.graph.initializers.get(name)!.floats());
});
