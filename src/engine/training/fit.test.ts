import { expect, test } from 'vitest';
import type { Batch } from '../data/dataset';
import { type BatchSource, type FitProgress, fitModel } from './fit';
import { learningRate } from './schedule';
import { fill, twoLayers } from './testing/networks';

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
