import { afterAll, expect, test } from 'vitest';
import { largestCode, quantizeWeights } from '../quantization/quantizers';
import { Session } from '../runtime/onnxruntime';
import { fakeQuantize } from './fake-quantization';
import { fill, lenet, residual, twoLayers } from './testing/networks';
import { Trainer, type TrainerOptions } from './trainer';

const open: Trainer[] = [];
const create = async (options: Partial<TrainerOptions> = {}, model = twoLayers(5, 6, 3)): Promise<Trainer> => {
  const trainer = await Trainer.create(model, { batch: 4, threads: 1, ...options });
  open.push(trainer);
  return trainer;
};
afterAll(async () => {
  for (const t of open) await t.dispose();
});

const batch = { inputs: fill(20, 1, 1), labels: Int32Array.of(0, 1, 2, 1) };

test('the loss falls, and every sample is learned', async () => {
  const trainer = await create();
  const first = await trainer.step(batch, 0.1);
  let last = first;
  for (let i = 0; i < 200; i++) last = await trainer.step(batch, 0.1);
  expect(last.loss).toBeLessThan(0.05 * first.loss);
  expect(last.correct).toBe(4);
  expect(trainer.stepCount).toBe(201);
});

test('the trained model scores as the trainer does, and the source model is untouched', async () => {
  const source = residual();
  const before = source.graph.initializers.get('stem.weight')!.floats().slice();
  const trainer = await create({ freezeBatchNorm: true }, source);
  const images = { inputs: fill(4 * 768, 2, 1), labels: Int32Array.of(0, 1, 2, 3) };
  for (let i = 0; i < 3; i++) await trainer.step(images, 0.05);
  const trained = trainer.model();
  expect(source.graph.initializers.get('stem.weight')!.floats()).toEqual(before);
  expect(trained.graph.initializers.get('stem.weight')!.floats()).not.toEqual(before);
  const session = await Session.create(trained, { threads: 1 });
  const { logits } = await session.run({ input: { type: 'float32', shape: [4, 3, 16, 16], data: images.inputs } });
  await session.release();
  const scores = logits.data as Float32Array;
  let loss = 0;
  for (let n = 0; n < 4; n++) {
    const row = Array.from(scores.subarray(10 * n, 10 * n + 10));
    loss -= (row[images.labels[n]] - Math.log(row.reduce((a, s) => a + Math.exp(s), 0))) / 4;
  }
  expect((await trainer.step(images, 0)).loss).toBeCloseTo(loss, 4);
});

test('two trainers with the same input give the same bytes', async () => {
  const [a, b] = [await create({ batch: 8 }, lenet()), await create({ batch: 8 }, lenet())];
  const images = { inputs: fill(8 * 784, 2, 1), labels: Int32Array.from({ length: 8 }, (_, i) => i) };
  for (let i = 0; i < 3; i++) {
    await a.step(images, 0.01);
    await b.step(images, 0.01);
  }
  expect(a.state()).toEqual(b.state());
});

test('training goes on from a state exactly as it would have', async () => {
  const a = await create({ weightDecay: 1e-3 });
  for (let i = 0; i < 3; i++) await a.step(batch, 0.1);
  const state = a.state();
  for (let i = 0; i < 4; i++) await a.step(batch, 0.1);
  const b = await create({ weightDecay: 1e-3 });
  b.restore(state);
  for (let i = 0; i < 4; i++) await b.step(batch, 0.1);
  expect(b.state()).toEqual(a.state());
  expect(state.steps).toBe(3);
  expect(() => b.restore({ ...state, weights: {} })).toThrow(/does not fit/);
});

test('masked weights are zero from the start and stay zero; the others move', async () => {
  const mask = Float32Array.from({ length: 30 }, (_, i) => (i % 3 === 0 ? 0 : 1));
  const trainer = await create({ masks: new Map([['first.weight', mask]]), weightDecay: 0.01 });
  const before = trainer.parameter('first.weight').slice();
  for (let i = 0; i < 5; i++) await trainer.step(batch, 0.1);
  const after = trainer.model().graph.initializers.get('first.weight')!.floats();
  mask.forEach((m, i) => {
    if (m === 0) expect([before[i], Math.abs(after[i])]).toEqual([0, 0]);
  });
  expect(after.filter((v, i) => mask[i] === 1 && v !== before[i]).length).toBeGreaterThan(10);
  const fewer = mask.map((m, i) => (i === 1 ? 0 : m));
  trainer.setMask('first.weight', fewer);
  await trainer.step(batch, 0.1);
  expect(Math.abs(trainer.parameter('first.weight')[1])).toBe(0);
});

test('every masked weight is held, not only the first, and a mask that changes holds from then on', async () => {
  const ones = (n: number) => new Float32Array(n).fill(1);
  const size = (name: string) => twoLayers(5, 6, 3).graph.initializers.get(name)!.size;
  const names = ['first.weight', 'last.weight'];
  const trainer = await create({ masks: new Map(names.map((n) => [n, ones(size(n))])) });
  await trainer.step(batch, 0.1);
  for (const name of names)
    trainer.setMask(
      name,
      ones(size(name)).map((_, i) => i % 2),
    );
  for (let i = 0; i < 3; i++) await trainer.step(batch, 0.1);
  for (const name of names) expect([...trainer.parameter(name)].map((v, i) => v === 0 || i % 2 === 1)).not.toContain(false);
});

test('weight decay spares biases when asked', async () => {
  // Learning nothing (all gradients masked by a rate, no momentum): only decay tells the two apart.
  const decayed = async (decayBiases: boolean): Promise<number> => {
    const plain = await create({ momentum: 0, weightDecay: 0 });
    const trainer = await create({ momentum: 0, weightDecay: 0.5, decayBiases });
    await plain.step(batch, 0.1);
    await trainer.step(batch, 0.1);
    const [a, b] = [plain.parameter('first.bias'), trainer.parameter('first.bias')];
    const [wa, wb] = [plain.parameter('first.weight'), trainer.parameter('first.weight')];
    expect(wb[0]).not.toBe(wa[0]);
    return Math.hypot(...a.map((v, i) => v - b[i]));
  };
  expect(await decayed(false)).toBe(0);
  expect(await decayed(true)).toBeGreaterThan(1e-4);
});

test('batches of another size, missing labels and foreign masks are refused', async () => {
  const trainer = await create();
  await expect(trainer.step({ inputs: fill(15, 1, 1), labels: Int32Array.of(0, 1, 2) }, 0.1)).rejects.toThrow(
    /15 values of inputs where 20/,
  );
  await expect(trainer.step({ inputs: batch.inputs }, 0.1)).rejects.toThrow(/no values of labels/);
  await expect(create({ masks: new Map([['nothing', new Float32Array(1)]]) })).rejects.toThrow(/not a trained weight/);
  await expect(create({ masks: new Map([['first.bias', new Float32Array(1)]]) })).rejects.toThrow(/1 values where 6/);
});

test('a loss that is not a number is reported, with what to do', async () => {
  const trainer = await create();
  await expect(trainer.step({ ...batch, inputs: new Float32Array(20).fill(Number.NaN) }, 0.1)).rejects.toThrow(/diverged at step 1/);
});

for (const bits of [1, 2, 4, 8]) {
  test(`${bits}-bit weights: the forward pass sees the quantised ones, the shadow weights learn`, async () => {
    const model = twoLayers(5, 6, 3);
    const weights = model.graph.initializers.get('first.weight')!.floats();
    const { scales } = quantizeWeights(weights, [6, 5], 0, bits);
    const quantizer = { bits, axis: 0, scales };
    const trainer = await create({ quantizers: new Map([['first.weight', quantizer]]) }, model);
    const quantized = trainer.model({ quantized: true });
    const seen = quantized.graph.initializers.get('first.weight')!.floats();
    expect(new Set(Array.from(seen.subarray(0, 5), (v) => Math.round(Math.abs(v) / scales[0]))).size).toBeLessThanOrEqual(
      largestCode(bits) + 1,
    );
    // The loss of the quantised model, trained by nothing, is the trainer's.
    const plain = await create({}, quantized);
    expect((await trainer.step(batch, 0.1)).loss).toBeCloseTo((await plain.step(batch, 0)).loss, 5);
    expect(trainer.parameter('first.weight')).not.toEqual(weights);
    for (let i = 0; i < 100; i++) await trainer.step(batch, 0.1);
    expect((await trainer.step(batch, 0)).correct).toBe(4);
  });
}

test('straight-through gradient: that of the quantised weight inside the clip range, none outside', async () => {
  const model = twoLayers(5, 6, 3);
  const weights = model.graph.initializers.get('first.weight')!.floats();
  const scales = new Float32Array(6).fill(0.3);
  const quantizer = { bits: 2, axis: 0, scales };
  const trainer = await create({ momentum: 0, quantizers: new Map([['first.weight', quantizer]]) }, model);
  const plain = await create({ momentum: 0 }, trainer.model({ quantized: true }));
  await trainer.step(batch, 0);
  await plain.step(batch, 0);
  const [through, exact] = [trainer.state().velocities['first.weight'], plain.state().velocities['first.weight']];
  const outside = Array.from(weights.keys()).filter((i) => Math.abs(weights[i]) > 0.3);
  expect(outside.length).toBeGreaterThan(3);
  expect(outside.length).toBeLessThan(27);
  weights.forEach((w, i) => {
    expect(through[i]).toBeCloseTo(Math.abs(w) > 0.3 ? 0 : exact[i], 6);
  });
});

test('scales can be refreshed, along another axis than the first too', async () => {
  const model = twoLayers(5, 6, 3);
  const quantizer = { bits: 4, axis: 1, scales: new Float32Array(5).fill(0.1) };
  const trainer = await create({ quantizers: new Map([['first.weight', quantizer]]) }, model);
  const first = (await trainer.step(batch, 0)).loss;
  const scales = Float32Array.from({ length: 5 }, (_, i) => 0.05 * (i + 1));
  trainer.setScales('first.weight', scales);
  const second = (await trainer.step(batch, 0)).loss;
  expect(second).not.toBe(first);
  const weights = model.graph.initializers.get('first.weight')!.floats();
  const expected = fakeQuantize(weights, [6, 5], { ...quantizer, scales });
  expect(trainer.model({ quantized: true }).graph.initializers.get('first.weight')!.floats()).toEqual(expected);
  const plain = await create({}, trainer.model({ quantized: true }));
  expect((await plain.step(batch, 0)).loss).toBeCloseTo(second, 5);
});

test('a pruned zero stays zero at one bit', () => {
  const q = fakeQuantize(Float32Array.of(0, -0.2, 0.7), [1, 3], { bits: 1, axis: 0, scales: Float32Array.of(0.4) });
  expect(Array.from(q, (v) => Math.abs(v))).toEqual([0, Math.fround(0.4), Math.fround(0.4)]);
});
