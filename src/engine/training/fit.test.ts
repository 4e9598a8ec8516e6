import { deserialize, serialize } from 'node:v8';
import { expect, test } from 'vitest';
import type { Batch } from '../data/dataset';
import { quantizableLayers } from '../graph/layers';
import { modelBytes } from '../onnx/file';
import { tuneQuantized } from '../quantization/ste-tuning';
import { quantizeLayers } from '../quantization/write-quantized';
import { Random } from '../random';
import { type BatchSource, type FitOptions, type FitProgress, type FitState, fitModel } from './fit';
import { trainWithInformationDropout } from './information-dropout';
import { learningRate } from './schedule';
import { fill, twoLayers } from './testing/networks';
import { type Trainer, TrainingDiverged } from './trainer';

/** Two classes, told apart by the sign of the first input. */
const source = (perEpoch: number, rest = 0): BatchSource => ({
  batchesPerEpoch: perEpoch,
  *batches(epoch): Iterable<Batch> {
    for (let i = 0; i < perEpoch; i++) {
      const inputs = fill(8 * 3, 100 * epoch + i, 1);
      yield { inputs, labels: Int32Array.from({ length: 8 }, (_, n) => (inputs[3 * n] > 0 ? 1 : 0)), count: 8 };
    }
    if (rest) yield { inputs: fill(rest * 3, 1, 1), labels: new Int32Array(rest), count: rest };
  },
});
const options = { batch: 8, epochs: 6, learningRate: { base: 0.2 }, threads: 1 };

test('learns, and tells how far it is', async () => {
  const seen: FitProgress[] = [];
  const { history, bestEpoch } = await fitModel(twoLayers(3, 8, 2), source(10, 3), { ...options, onProgress: (p) => seen.push(p) });
  expect(history.at(-1)!.accuracy).toBeGreaterThan(0.95);
  expect(history.at(-1)!.loss).toBeLessThan(history[0].loss);
  expect(bestEpoch).toBe(5);
  expect(seen.map((p) => p.step)).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
  expect(seen.at(-1)).toMatchObject({ epoch: 5, epochs: 6, step: 60, steps: 60, secondsLeft: 0 });
});

test('the best epoch by validation is kept', async () => {
  const scores = [0.1, 0.7, 0.9, 0.2, 0.3, 0.9];
  const models: unknown[] = [];
  const result = await fitModel(twoLayers(3, 8, 2), source(2), {
    ...options,
    validate: async (model, epoch) => {
      models.push(model);
      return scores[epoch];
    },
  });
  expect(result.bestEpoch).toBe(2);
  expect(result.model).toBe(models[2]);
  expect(result.history.map((h) => h.validation)).toEqual(scores);
});

test('stops at once when aborted, with the reason given', async () => {
  const controller = new AbortController();
  let steps = 0;
  const run = fitModel(twoLayers(3, 8, 2), source(10), {
    ...options,
    signal: controller.signal,
    onProgress: () => {
      if (++steps === 3) controller.abort(new Error('enough'));
    },
  });
  await expect(run).rejects.toThrow('enough');
  expect(steps).toBe(3);
});

test('a training that diverges begins anew at a quarter of its rates: the same as one that had them from the beginning', async () => {
  let asked = 0;
  const reasons: string[] = [];
  const states: FitState[] = [];
  const { model } = await fitModel(twoLayers(3, 8, 2), source(4), {
    ...options,
    epochs: 2,
    // Steps far too long while the first two attempts last; each ends at its second step.
    learningRate: () => (asked++ < 4 ? 1e30 : 0.8),
    onDiverged: (reason) => reasons.push(reason),
    onCheckpoint: (state) => void states.push(state),
  });
  expect(reasons).toHaveLength(2);
  expect(reasons[0]).toMatch(/^training diverged at step 2: the loss is /);
  expect(states.map((s) => [s.epochs, s.restarts])).toEqual([
    [1, 2],
    [2, 2],
  ]);
  const steady = { ...options, epochs: 2, learningRate: { base: 0.05 } };
  expect(modelBytes(model)).toEqual(modelBytes((await fitModel(twoLayers(3, 8, 2), source(4), steady)).model));

  // Resumed, it goes on at the rates of the attempt that it was in.
  const resumed = { ...options, epochs: 2, learningRate: { base: 0.8 }, resumeFrom: states[0], onDiverged: () => {} };
  expect(modelBytes((await fitModel(twoLayers(3, 8, 2), source(4), resumed)).model)).toEqual(modelBytes(model));
});

test('a training that diverges at every rate fails; so does one that is to have its own rate only', async () => {
  let told = 0;
  const wild = { ...options, learningRate: { base: 1e30 } };
  await expect(fitModel(twoLayers(3, 8, 2), source(4), { ...wild, onDiverged: () => told++ })).rejects.toThrow(TrainingDiverged);
  expect(told).toBe(2);
  await expect(fitModel(twoLayers(3, 8, 2), source(4), wild)).rejects.toThrow(TrainingDiverged);
});

test('a student learns from teachers alone, without labels', async () => {
  const { model: teacher } = await fitModel(twoLayers(3, 8, 2), source(10), options);
  const unlabelled: BatchSource = {
    batchesPerEpoch: 10,
    *batches(epoch) {
      for (const b of source(10).batches(epoch) as Iterable<Batch>) yield { inputs: b.inputs, count: b.count };
    },
  };
  const loss = { crossEntropy: 0, distillation: { temperature: 2, weight: 1 } };
  const { history } = await fitModel(twoLayers(3, 6, 2), unlabelled, { ...options, loss, teachers: [teacher, teacher] });
  expect(history.at(-1)!.loss).toBeLessThan(0.2 * history[0].loss);
  expect(history.at(-1)!.accuracy).toBeGreaterThan(0.9);
});

test('no batch of the wanted size is an error with a next step', async () => {
  await expect(fitModel(twoLayers(3, 8, 2), source(0, 3), options)).rejects.toThrow(/no batch of 8 samples/);
});

test('schedules', () => {
  const at = (o: Parameters<typeof learningRate>[0], epoch: number, step = 0) =>
    learningRate(o)({ epoch, step, stepsPerEpoch: 10, epochs: 10 });
  expect(at({ base: 0.1 }, 7)).toBe(0.1);
  expect(at({ base: 0.1, schedule: { kind: 'exponential', factor: 0.99 } }, 3, 9)).toBeCloseTo(0.1 * 0.99 ** 3, 12);
  expect(at({ base: 1, schedule: { kind: 'cosine' } }, 0)).toBe(1);
  expect(at({ base: 1, schedule: { kind: 'cosine' } }, 5)).toBeCloseTo(0.5, 12);
  expect(at({ base: 1, schedule: { kind: 'cosine', final: 0.1 } }, 10)).toBeCloseTo(0.1, 12);
  const milestones = { base: 1, schedule: { kind: 'milestones', epochs: [2, 4], factor: 0.1 } } as const;
  expect([1, 2, 3, 4].map((e) => at(milestones, e))).toEqual([1, 0.1, 0.1, 0.1 ** 2]);
  const warm = { base: 1, warmUpEpochs: 2 };
  expect([at(warm, 0), at(warm, 0, 9), at(warm, 1, 9), at(warm, 5)]).toEqual([0.05, 0.5, 1, 1]);
  expect(() => learningRate({ base: 0 })).toThrow(/above 0/);
});

test('a training that goes on from any epoch’s checkpoint ends with the very same weights', async () => {
  const model = twoLayers(3, 8, 2);
  const [weight] = [...model.graph.initializers.values()].filter((t) => t.dims.length === 2);
  const mask = Float32Array.from({ length: weight.size }, (_, i) => (i % 3 === 0 ? 0 : 1));
  const scores = [0.3, 0.9, 0.5, 0.6, 0.9, 0.1];
  const common = {
    ...options,
    masks: new Map([[weight.name, new Float32Array(weight.size).fill(1)]]),
    learningRate: { base: 0.2, schedule: { kind: 'cosine' as const } },
    validate: (_: unknown, epoch: number) => Promise.resolve(scores[epoch]),
    // A mask that is set on the way must be there after resuming as well.
    onEpoch: (trainer: Trainer, epoch: number) => {
      if (epoch === 1) trainer.setMask(weight.name, mask);
    },
  };
  const states: FitState[] = [];
  const whole = await fitModel(model, source(5), {
    ...common,
    // As a run keeps them: through serialisation.
    onCheckpoint: (s) => void states.push(deserialize(serialize(s)) as FitState),
  });
  expect(states.map((s) => s.epochs)).toEqual([1, 2, 3, 4, 5, 6]);
  const last = states[5].trainer;
  for (const resumeFrom of states) {
    let masks = 0;
    const seen: number[] = [];
    let end: FitState | undefined;
    const rest = await fitModel(model, source(5), {
      ...common,
      resumeFrom,
      onResume: (trainer) => {
        masks = trainer.mask(weight.name).reduce((a, v) => a + v, 0);
      },
      onProgress: (p) => seen.push(p.step),
      onCheckpoint: (s) => {
        end = s;
      },
    });
    expect(masks).toBe(resumeFrom.epochs > 1 ? mask.reduce((a, v) => a + v, 0) : weight.size);
    expect(seen).toEqual(Array.from({ length: 5 * (6 - resumeFrom.epochs) }, (_, i) => 5 * resumeFrom.epochs + i + 1));
    expect(rest.history).toEqual(whole.history);
    expect(rest.bestEpoch).toBe(whole.bestEpoch);
    expect(modelBytes(rest.model)).toEqual(modelBytes(whole.model));
    if (resumeFrom.epochs < 6) expect(end!.trainer).toEqual(last);
  }
});

test('with averaging the result is the mean over the last steps, also of a training that goes on from a checkpoint', async () => {
  const seen: Map<string, Float32Array>[] = [];
  const states: FitState[] = [];
  const averaged = { ...options, epochs: 3, averaging: 0.5 };
  const { model } = await fitModel(twoLayers(3, 8, 2), source(4), {
    ...averaged,
    onStep: (trainer) => seen.push(new Map([...trainer.values()].map(([name, values]) => [name, values.slice()]))),
    onCheckpoint: (state) => void states.push(state),
  });
  const last = seen.slice(6);
  expect(last).toHaveLength(6);
  for (const [name, values] of last[0]) {
    const mean = Array.from(values, (_, i) => last.reduce((sum, step) => sum + step.get(name)![i], 0) / last.length);
    model.graph.initializers
      .get(name)!
      .floats()
      .forEach((v, i) => {
        expect(v).toBeCloseTo(mean[i], 6);
      });
  }
  // In the middle of the second epoch averaging begins.
  for (const state of states.slice(0, 2)) {
    const resumed = await fitModel(twoLayers(3, 8, 2), source(4), { ...averaged, resumeFrom: deserialize(serialize(state)) });
    expect(modelBytes(resumed.model)).toEqual(modelBytes(model));
  }
  const alone = await fitModel(twoLayers(3, 8, 2), source(4), { ...averaged, averaging: 0 });
  const end = seen.at(-1)!;
  for (const [name, values] of end) expect(alone.model.graph.initializers.get(name)!.floats()).toEqual(values);
  await expect(fitModel(twoLayers(3, 8, 2), source(4), { ...averaged, averaging: 1.5 })).rejects.toThrow('[0, 1]');
  await expect(fitModel(twoLayers(3, 8, 2), source(4), { ...averaged, validate: async () => 1 })).rejects.toThrow('validated');
});

test('scales of quantisers are part of a checkpoint', async () => {
  const model = twoLayers(3, 8, 2);
  const layers = quantizeLayers(model, Object.fromEntries(quantizableLayers(model).map((l) => [l.name, 3])));
  expect(layers.length).toBe(2);
  const states: FitState[] = [];
  const tune = (change: Partial<FitOptions>) =>
    tuneQuantized(model, layers, source(5), { ...options, epochs: 3, learningRate: { base: 0.02 }, ...change });
  const whole = await tune({ onCheckpoint: (s) => void states.push(s) });
  const rest = await tune({ resumeFrom: states[1] });
  expect(rest.layers.map((l) => [...l.weights.scales])).toEqual(whole.layers.map((l) => [...l.weights.scales]));
  expect(rest.layers.map((l) => [...l.weights.scales])).not.toEqual(layers.map((l) => [...l.weights.scales]));
  expect(modelBytes(rest.model)).toEqual(modelBytes(whole.model));
});

test('a training that draws random numbers gives no checkpoints, since their state cannot be kept', async () => {
  let checkpoints = 0;
  const model = twoLayers(3, 8, 2);
  const layer = model.graph.nodes.find((n) => n.opType === 'Gemm')!.outputs[0];
  await trainWithInformationDropout(model, source(2), {
    ...options,
    epochs: 2,
    random: new Random(1),
    noise: { layers: [layer] },
    onCheckpoint: () => {
      checkpoints++;
    },
  });
  expect(checkpoints).toBe(0);
});
