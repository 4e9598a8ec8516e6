import { expect, test } from 'vitest';
import { findChannelGroups } from '../graph/channel-groups';
import { type Model, withGraph } from '../onnx/model';
import { removeChannels } from '../pruning/remove-channels';
import { floatTensor, Session } from '../runtime/onnxruntime';
import { fitModel } from './fit';
import { hintTransforms, hintValues, trainedOutputs, withValues } from './hints';
import { expectRightGradients } from './testing/gradients';
import { fill, residual, twoLayers } from './testing/networks';
import { Trainer } from './trainer';

/** Without the channels of every group that no sum fixes to the width of another layer. */
function cutInside(model: Model): Model {
  const groups = findChannelGroups(model).groups.filter((g) => g.producers.length === 1);
  expect(groups.length).toBeGreaterThan(0);
  return removeChannels(model, new Map(groups.map((g) => [g.id, [0, 1]])), groups);
}

async function valuesOf(model: Model, names: readonly string[], inputs: Float32Array, shape: readonly number[]): Promise<Float32Array[]> {
  const session = await Session.create(withValues(model, names), { threads: 1 });
  const results = await session.run({ [model.graph.inputs[0].name]: floatTensor(inputs, shape) });
  await session.release();
  return names.map((name) => results[name].data as Float32Array);
}

test('values that a layer reads and whose width is untouched are compared; cut ones and the input are not', () => {
  const model = residual();
  const cut = cutInside(model);
  const all = hintValues(model, model);
  const some = hintValues(cut, model);
  expect(all).not.toContain(model.graph.inputs[0].name);
  expect(some.length).toBeGreaterThan(0);
  expect(some.length).toBeLessThan(all.length);
  expect(all).toEqual(expect.arrayContaining(some));
});

test('the term is the mean of the relative squared errors, and its gradients are right', async () => {
  const model = withGraph(twoLayers(5, 6, 3), {
    nodes: twoLayers(5, 6, 3).graph.nodes.map((n) => (n.opType === 'Relu' ? { ...n, opType: 'Softplus' } : n)),
  });
  const [name] = hintValues(model, model);
  const target = fill(24, 4, 1);
  const batch = { inputs: fill(20, 1, 1), labels: Int32Array.of(0, 1, 2, 1), fed: new Map([[name, target]]) };
  const lossWith = async (weight?: number): Promise<number> => {
    const transforms = weight === undefined ? undefined : hintTransforms([name], weight);
    const trainer = await Trainer.create(model, { batch: 4, threads: 1, transforms });
    const { loss } = await trainer.step(batch, 0);
    await trainer.dispose();
    return loss;
  };
  const [own] = await valuesOf(model, [name], batch.inputs, [4, 5]);
  const square = (values: Float32Array): number => values.reduce((sum, v) => sum + v * v, 0);
  const expected = square(own.map((v, i) => v - target[i])) / square(target);
  expect(expected).toBeGreaterThan(0.1);
  expect((await lossWith(2)) - (await lossWith())).toBeCloseTo(2 * expected, 5);
  await expectRightGradients(model, batch, () => ({ batch: 4, transforms: hintTransforms([name], 2) }));
});

test('where channels have weights, the squared error of each counts so much', async () => {
  const model = residual();
  const [name] = hintValues(model, model).filter((n) => model.graph.nodes.some((m) => m.opType === 'Conv' && m.inputs[0] === n));
  const inputs = fill(2 * 768, 1, 1);
  const session = await Session.create(withValues(model, [name]), { threads: 1 });
  const { data, shape } = (await session.run({ [model.graph.inputs[0].name]: floatTensor(inputs, [2, 3, 16, 16]) }))[name];
  await session.release();
  const own = data as Float32Array;
  const target = fill(own.length, 4, 1);
  const weights = fill(shape[1], 5, 1).map((w) => w + 1);
  const channels = new Map([[name, { axis: 1, weights }]]);
  const batch = { inputs, labels: Int32Array.of(0, 1), fed: new Map([[name, target]]) };
  const lossWith = async (transforms?: ReturnType<typeof hintTransforms>): Promise<number> => {
    const trainer = await Trainer.create(model, { batch: 2, threads: 1, transforms, freezeBatchNorm: true });
    const { loss } = await trainer.step(batch, 0);
    await trainer.dispose();
    return loss;
  };
  const run = own.length / (2 * shape[1]);
  const error = own.reduce((sum, v, i) => sum + weights[Math.floor(i / run) % shape[1]] * (v - target[i]) ** 2, 0);
  const expected = error / target.reduce((sum, v) => sum + v * v, 0);
  expect((await lossWith(hintTransforms([name], 2, channels))) - (await lossWith())).toBeCloseTo(2 * expected, 4);
});

test('gradients of weighted hints are right', async () => {
  const nodes = twoLayers(5, 6, 3).graph.nodes.map((n) => (n.opType === 'Relu' ? { ...n, opType: 'Softplus' } : n));
  const model = withGraph(twoLayers(5, 6, 3), { nodes });
  const [name] = hintValues(model, model);
  const batch = { inputs: fill(20, 1, 1), labels: Int32Array.of(0, 1, 2, 1), fed: new Map([[name, fill(24, 4, 1)]]) };
  const channels = new Map([[name, { axis: -1, weights: Float32Array.of(0.2, 3, 1, 0, 0.5, 2) }]]);
  await expectRightGradients(model, batch, () => ({ batch: 4, transforms: hintTransforms([name], 2, channels) }));
});

test('a cut network that is fine-tuned with hints alone comes nearer to its original inside', async () => {
  const model = residual();
  const cut = cutInside(model);
  const inputs = fill(8 * 768, 1, 1);
  const batch = { inputs, labels: new Int32Array(8), count: 8 };
  const source = { batchesPerEpoch: 20, batches: () => Array.from({ length: 20 }, () => batch) };
  const names = hintValues(cut, model);
  const truth = await valuesOf(model, names, inputs, [8, 3, 16, 16]);
  const distance = async (m: Model): Promise<number> => {
    const own = await valuesOf(m, names, inputs, [8, 3, 16, 16]);
    return own.reduce(
      (sum, v, k) => sum + v.reduce((a, x, i) => a + (x - truth[k][i]) ** 2, 0) / truth[k].reduce((a, x) => a + x * x, 0),
      0,
    );
  };
  const options = { epochs: 1, batch: 8, threads: 1, learningRate: { base: 0.02 }, loss: { crossEntropy: 1e-6 }, freezeBatchNorm: true };
  const { model: taught } = await fitModel(cut, source, { ...options, teachers: [model], hints: 5 });
  expect(await distance(taught)).toBeLessThan(0.7 * (await distance(cut)));
}, 30_000);

test('of several outputs the others are compared too, but for those behind operators without gradients', () => {
  const model = residual();
  const inner = hintValues(model, model)[0];
  const both = withGraph(model, { outputs: [...model.graph.outputs, { name: inner, type: 'float32', shape: undefined }] });
  expect(trainedOutputs(both)).toEqual([model.graph.outputs[0].name, inner]);
  expect(hintValues(both, both)).toContain(inner);
  const node = { ...model.graph.nodes[0], name: 'choice', opType: 'ArgMax', inputs: [inner], outputs: ['chosen'] };
  const whole = withGraph(both, {
    nodes: [...model.graph.nodes, node],
    outputs: [...model.graph.outputs, { name: 'chosen', type: 'int64', shape: undefined }],
  });
  expect(trainedOutputs(whole)).toEqual([model.graph.outputs[0].name]);
});
