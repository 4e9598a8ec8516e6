import { expect, test } from 'vitest';
import { withGraph } from '../onnx/model';
import { Tensor } from '../onnx/tensor';
import { GraphBuilder } from '../ops/builder';
import { floatTensor, Session } from '../runtime/onnxruntime';
import { channelWeights } from './hint-weights';
import { hintValues, withValues } from './hints';
import { fill, residual } from './testing/networks';

const source = (batches: readonly Float32Array[], count: number) => ({
  batchesPerEpoch: batches.length,
  batches: () => batches.map((inputs) => ({ inputs, count })),
});

test('before a linear layer of one score, channels count as the sizes of its weights, and the energy stays as it was', async () => {
  const b = new GraphBuilder();
  const x = b.input('x', ['N', 3]);
  const h = b.op('Relu', [b.op('MatMul', [x, b.floats('w1', [3, 4], fill(12, 1, 1))])], {}, { name: 'hidden' });
  const w2 = Float32Array.of(0.5, -2, 0, 1);
  b.output(b.op('MatMul', [h, b.floats('w2', [4, 1], w2)]), 'score', ['N', 1]);
  const model = b.build('one-score');
  const [name] = hintValues(model, model);
  const batches = [1, 2].map((seed) => fill(8 * 3, seed, 1));
  const { axis, weights } = (await channelWeights(model, [name], source(batches, 8), { batch: 8, threads: 1 })).get(name)!;
  expect(axis).toBe(-1);
  // The gradient of a score by the value is the row of weights, whatever its sign.
  for (const c of [0, 2, 3]) expect(weights[c] / weights[1]).toBeCloseTo(Math.abs(w2[c] / w2[1]), 5);
  const session = await Session.create(withValues(model, [name]), { threads: 1 });
  let [plain, weighted] = [0, 0];
  for (const inputs of batches) {
    const values = (await session.run({ x: floatTensor(inputs, [8, 3]) }))[name].data as Float32Array;
    values.forEach((v, i) => {
      plain += v * v;
      weighted += v * v * weights[i % 4];
    });
  }
  await session.release();
  expect(weighted / plain).toBeCloseTo(1, 5);
});

test('of maps that a convolution reads, a channel that it does not use is worth nothing', async () => {
  const model = residual();
  const names = hintValues(model, model);
  const inputs = [fill(4 * 768, 1, 1), fill(4 * 768, 2, 1)];
  const before = await channelWeights(model, names, source(inputs, 4), { batch: 4, threads: 1 });
  const [name] = names.filter((n) => before.get(n)?.axis === 1 && model.graph.nodes.filter((m) => m.inputs.includes(n)).length === 1);
  const reader = model.graph.nodes.find((n) => n.inputs[0] === name)!;
  const kernel = model.graph.initializers.get(reader.inputs[1])!;
  const values = kernel.floats().slice();
  const [outputs, channels] = kernel.dims;
  const taps = values.length / (outputs * channels);
  for (let o = 0; o < outputs; o++) values.fill(0, (o * channels + 2) * taps, (o * channels + 3) * taps);
  const initializers = new Map(model.graph.initializers).set(kernel.name, Tensor.float32(kernel.name, kernel.dims, values));
  const after = await channelWeights(withGraph(model, { initializers }), names, source(inputs, 4), { batch: 4, threads: 1 });
  expect(before.get(name)!.weights[2]).toBeGreaterThan(0.01);
  expect(after.get(name)!.weights[2]).toBe(0);
  expect(after.get(name)!.weights).toHaveLength(channels);
});

test('the same source gives the same weights; values that no layer reads have none', async () => {
  const model = residual();
  const names = hintValues(model, model);
  const inputs = [fill(4 * 768, 1, 1)];
  const unread = model.graph.nodes.find((n) => n.opType === 'Conv')!.outputs[0];
  const [a, c] = [
    await channelWeights(model, [...names, unread], source(inputs, 4), { batch: 4, threads: 1 }),
    await channelWeights(model, [...names, unread], source(inputs, 4), { batch: 4, threads: 1 }),
  ];
  expect(a).toEqual(c);
  expect([...a.keys()]).toEqual(names);
});

test('a model that gradients cannot pass gives no weights; Dropout is no obstacle', async () => {
  const build = (...[type, attributes]: [string, Record<string, number>?]) => {
    const b = new GraphBuilder();
    const h = b.op('Relu', [b.op('MatMul', [b.input('x', ['N', 3]), b.floats('w1', [3, 4], fill(12, 1, 1))])], {}, { name: 'hidden' });
    const through = b.op('MatMul', [b.op(type, [h], attributes), b.floats('w2', [4, 2], fill(8, 2, 1))]);
    b.output(through, 'scores', ['N', 2]);
    return b.build(type);
  };
  const weights = (type: string) => {
    const model = build(type);
    return channelWeights(model, hintValues(model, model), source([fill(12, 3, 1)], 4), { batch: 4, threads: 1 });
  };
  expect((await weights('Dropout')).size).toBeGreaterThan(0);
  expect((await weights('Round')).size).toBe(0);
});
