import { expect, test } from 'vitest';
import { type Model, withGraph } from '../onnx/model';
import { GraphBuilder } from '../ops/builder';
import { Random } from '../random';
import { Session } from '../runtime/onnxruntime';
import type { BatchSource } from './fit';
import { dropProbability, informationDropout, noiseNames, noiseSite, trainWithInformationDropout } from './information-dropout';
import { expectRightGradients } from './testing/gradients';
import { fill, lenet, residual, twoLayers } from './testing/networks';
import { Trainer } from './trainer';
import { buildTrainingGraph, type ValueTransform } from './training-graph';

const smooth = (model: Model): Model =>
  withGraph(model, { nodes: model.graph.nodes.map((n) => (n.opType === 'Relu' ? { ...n, opType: 'Softplus' } : n)) });
const batch = { inputs: fill(20, 1, 1), labels: Int32Array.of(0, 1, 2, 1) };
const options = (model: Model, beta: number, alphaMax = 0.7) => ({
  batch: 4,
  threads: 1,
  random: new Random(3),
  transforms: informationDropout(model, { layers: ['first'], beta, alphaMax }),
});

/** β·KL alone, as the trainer computes it: the loss with β less the loss without, the noise being the same. */
async function informationTerm(model: Model, weights: Record<string, number>, n = 1): Promise<number> {
  const lossWith = async (beta: number): Promise<number> => {
    const trainer = await Trainer.create(model, options(model, beta));
    const state = trainer.state();
    for (const [name, value] of Object.entries(weights)) state.weights[name]?.fill(value);
    trainer.restore(state);
    const { loss } = await trainer.step(batch, 0);
    await trainer.dispose();
    return loss;
  };
  // β = 0 leaves the term and the prior's parameters out.
  return ((await lossWith(n)) - (await lossWith(0))) / n;
}

/** The hidden activations of the plain network, [4, 6]. */
async function hidden(model: Model): Promise<Float32Array> {
  const name = noiseSite(model, 'first').value;
  const session = await Session.create(withGraph(model, { outputs: [{ name, type: 'float32' }] }), { threads: 1 });
  const result = await session.run({ input: { type: 'float32', shape: [4, 5], data: batch.inputs } });
  await session.release();
  return result[name].data as Float32Array;
}

/** α over α_max, which never falls below a thousandth. */
const openness = (x: number): number => 0.001 + 0.999 / (1 + Math.exp(-x));

test('softplus, log-normal prior: the term is the divergence of the two log-normals, measured by sampling', async () => {
  const model = smooth(twoLayers(5, 6, 3));
  const names = noiseNames('first');
  const [bias, mu, logSigma] = [0.4, -0.3, 0.2];
  const alpha = 0.7 * openness(bias);
  const sigma = Math.exp(logSigma);
  const ours = await informationTerm(model, { [names.bias]: bias, [names.priorMean]: mu, [names.priorLogDeviation]: logSigma });
  // KL = E[log p(z) − log q(z)] over draws of log z ~ N(log f − α²/2, α²).
  const random = new Random(11);
  const f = await hidden(model);
  const draws = 20_000;
  let sampled = 0;
  for (const value of f) {
    for (let i = 0; i < draws; i++) {
      const e = random.normal();
      const logZ = Math.log(value) - alpha ** 2 / 2 + alpha * e;
      sampled += (-(e ** 2) / 2 - Math.log(alpha) + (logZ - mu) ** 2 / (2 * sigma ** 2) + Math.log(sigma)) / draws / 4;
    }
  }
  expect(sampled).toBeGreaterThan(1);
  expect(Math.abs(ours - sampled)).toBeLessThan(0.02 * sampled);
});

test('ReLU, log-uniform prior: −log(α/α_max) for each active unit', async () => {
  const model = twoLayers(5, 6, 3);
  const ours = await informationTerm(model, { [noiseNames('first').bias]: -0.5 });
  const active = (await hidden(model)).filter((v) => v > 0).length;
  expect(active).toBeGreaterThan(4);
  expect(active).toBeLessThan(24);
  expect(ours).toBeCloseTo((-Math.log(openness(-0.5)) * active) / 4, 4);
});

test('the noise has mean 1 and the variance of a log-normal, and is drawn anew in every step', async () => {
  // One linear layer of weight 1 before a softplus of a large input: f = 50, observed after the noise.
  const b = new GraphBuilder();
  const x = b.input('x', ['N', 1]);
  const h = b.op('Gemm', [x, b.floats('w', [400, 1], new Float32Array(400).fill(1))], { transB: 1 }, { name: 'first' });
  const r = b.op('Relu', [h], {}, { name: 'relu' });
  b.output(b.op('Gemm', [r, b.floats('u', [2, 400], new Float32Array(800))], { transB: 1 }), 'logits', ['N', 2]);
  const model = b.build();
  const transforms = informationDropout(model, { layers: ['first'], beta: 0, alphaMax: 0.7 });
  const observing: ValueTransform = (context, value) => {
    const z = transforms.get('relu')!(context, value);
    context.observe('z', z);
    return z;
  };
  const trainer = await Trainer.create(model, { batch: 50, threads: 1, random: new Random(1), transforms: new Map([['relu', observing]]) });
  const state = trainer.state();
  state.weights[noiseNames('first').bias].fill(0.8);
  trainer.restore(state);
  const inputs = new Float32Array(50).fill(50);
  await trainer.step({ inputs, labels: new Int32Array(50) }, 0);
  const first = trainer.observed('z').slice();
  await trainer.step({ inputs, labels: new Int32Array(50) }, 0);
  expect(trainer.observed('z')).not.toEqual(first);
  const alpha = 0.7 * openness(0.8);
  const noise = first.map((v) => v / 50);
  const mean = noise.reduce((a, v) => a + v, 0) / noise.length;
  const variance = noise.reduce((a, v) => a + (v - mean) ** 2, 0) / noise.length;
  expect(Math.abs(mean - 1)).toBeLessThan((4 * Math.sqrt(Math.expm1(alpha ** 2))) / Math.sqrt(20_000));
  expect(variance / Math.expm1(alpha ** 2)).toBeCloseTo(1, 1);
  expect(trainer.observed(noiseNames('first').alpha)[0]).toBeCloseTo(alpha, 5);
  await trainer.dispose();
});

test('the same seed gives the same noise', async () => {
  const model = twoLayers(5, 6, 3);
  const run = async (seed: number): Promise<number[]> => {
    const trainer = await Trainer.create(model, { ...options(model, 0.01), random: new Random(seed) });
    const losses = [(await trainer.step(batch, 0.1)).loss, (await trainer.step(batch, 0.1)).loss];
    await trainer.dispose();
    return losses;
  };
  expect(await run(4)).toEqual(await run(4));
  expect(await run(4)).not.toEqual(await run(5));
});

test('gradients of everything, the maps and the prior included', async () => {
  const model = smooth(twoLayers(5, 6, 3));
  const gradients = await expectRightGradients(model, batch, () => options(model, 0.05), { fresh: true, tolerance: 0.02 });
  const { alpha, ...parameters } = noiseNames('first');
  expect(alpha).toBeTypeOf('string');
  for (const name of Object.values(parameters)) expect(gradients.has(name)).toBe(true);
});

test('convolutions: padded, strided and unpadded; own parameters stay out of the model', async () => {
  const convolutions = (model: Model): string[] => model.graph.nodes.filter((n) => n.opType === 'Conv').map((n) => n.name);
  for (const [model, chosen] of [
    [lenet(), [...convolutions(lenet()), 'fc1']],
    [residual(), ['stem.conv', 'a1.conv', 'b1.conv']],
  ] as const) {
    const graph = buildTrainingGraph(model, {
      batch: 2,
      random: new Random(1),
      transforms: informationDropout(model, { layers: chosen }),
    });
    expect(graph.parameters.filter((p) => p.auxiliary).length).toBe(2 * chosen.length);
    const [channels, height, width] = model.graph.inputs[0].shape!.slice(1) as number[];
    const trainer = await Trainer.create(model, {
      batch: 2,
      threads: 1,
      random: new Random(1),
      transforms: informationDropout(model, { layers: chosen }),
    });
    const { loss } = await trainer.step({ inputs: fill(2 * channels * height * width, 1, 1), labels: Int32Array.of(1, 2) }, 0.01);
    expect(loss).toBeGreaterThan(0);
    expect([...trainer.model().graph.initializers.keys()].sort()).toEqual([...model.graph.initializers.keys()].sort());
    await trainer.dispose();
  }
});

test('units that the task does not need get more noise than those it needs', async () => {
  // Inputs 0 and 1 tell the class, the others are noise of their own. The hidden layer starts as the identity.
  const b = new GraphBuilder();
  const x = b.input('input', ['N', 6]);
  const identity = Float32Array.from({ length: 36 }, (_, i) => (i % 7 === 0 ? 1 : 0));
  const h = b.op(
    'Gemm',
    [x, b.floats('first.weight', [6, 6], identity), b.floats('first.bias', [6], new Float32Array(6))],
    { transB: 1 },
    { name: 'first' },
  );
  const r = b.op('Relu', [h]);
  b.output(b.op('Gemm', [r, b.floats('last.weight', [2, 6], fill(12, 3, 0.5))], { transB: 1 }), 'logits', ['N', 2]);
  const source: BatchSource = {
    batchesPerEpoch: 40,
    *batches(epoch) {
      for (let i = 0; i < 40; i++) {
        const inputs = fill(32 * 6, 1 + 40 * epoch + i, 1).map((v) => v + 1);
        yield { inputs, labels: Int32Array.from({ length: 32 }, (_, n) => (inputs[6 * n] > inputs[6 * n + 1] ? 1 : 0)), count: 32 };
      }
    },
  };
  const plain = b.build();
  const { noise, history, model } = await trainWithInformationDropout(plain, source, {
    batch: 32,
    epochs: 10,
    threads: 1,
    learningRate: { base: 0.05 },
    random: new Random(2),
    noise: { layers: ['first'], beta: 0.02 },
  });
  expect(history.at(-1)!.accuracy).toBeGreaterThan(0.85);
  expect(model.graph.nodes).toEqual(plain.graph.nodes);
  const [{ alpha, dropProbability: p }] = noise;
  const needed = Math.max(alpha[0], alpha[1]);
  for (let j = 2; j < 6; j++) expect(alpha[j]).toBeGreaterThan(needed);
  p.forEach((v, j) => {
    expect(v).toBeCloseTo(1 - Math.exp(-(alpha[j] ** 2)), 6);
  });
  expect(dropProbability(0.7)).toBeLessThan(0.39);
});

test('what cannot have noise is refused by name', () => {
  expect(() => noiseSite(twoLayers(5, 6, 3), 'last')).toThrow(/'last' has no ReLU or softplus/);
  expect(() => noiseSite(twoLayers(5, 6, 3), 'relu')).toThrow(/is a Relu/);
  expect(() => noiseSite(twoLayers(5, 6, 3), 'nothing')).toThrow(/no layer 'nothing'/);
  expect(() => informationDropout(twoLayers(5, 6, 3), { layers: ['first'], alphaMax: 2 })).toThrow(/alphaMax/);
});
