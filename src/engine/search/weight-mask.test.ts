/** Masks on single weights: levels, costs, the environment, and the network of an episode. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { configSchema } from '../../protocol/config';
import type { Policy } from '../../protocol/policy';
import { checkEnvironment } from '../agents/testing/check-environment';
import { lenet5 } from '../architectures/lenet5';
import { countCosts } from '../graph/costs';
import { quantizableLayers } from '../graph/layers';
import { modelBytes, parseModel, saveModel } from '../onnx/file';
import type { Model } from '../onnx/model';
import { applyMasks, sparsityBelow } from '../pruning/weight-masks';
import { Random } from '../random';
import { Trainer, TrainingDiverged } from '../training/trainer';
import { CompressionActor, type TuningBatch } from './actor';
import { readJournal } from './journal';
import { layerFeatures } from './layer-features';
import { startRun } from './run';
import { type MaskDecision, WeightMaskEnvironment } from './weight-mask-environment';
import { type MaskLayer, maskedCost, maskLayers, masksOf } from './weight-mask-layers';
import { type MaskUnit, maskBudget } from './weight-mask-stage';
import { WeightMaskTrajectory } from './weight-mask-trajectory';

const model = lenet5.build({ classes: 10, random: new Random(1) });
const layers = quantizableLayers(model);
const costs = countCosts(model);
const configWith = (change: object = {}) => configSchema.parse({ model: 'lenet5.onnx', ...change });
const units = (masked: readonly MaskLayer[]): MaskUnit[] =>
  masked.map(({ layer, levels, weights }, i) => ({ name: layer.name, levels, weights, features: layerFeatures(layer, i) }));
const policyOf = (sparsity: Record<string, number>): Policy => ({ ratios: {}, bits: {}, sparsity });
const weightOf = (m: Model, name: string): Float32Array => m.graph.initializers.get(layers.find((l) => l.name === name)!.weight)!.floats();

describe('layers', () => {
  test('overrides fix, bound and skip layers, as shares of their weights', () => {
    const [first, second, third] = layers.map((l) => l.name);
    const chosen = maskLayers(
      model,
      layers,
      configWith({ layers: { [first]: { skip: true }, [second]: { ratio: 0.5 }, [third]: { minRatio: 0.2, maxRatio: 0.4 } } }),
    );
    expect(chosen.map((l) => l.layer.name)).toEqual(layers.slice(1).map((l) => l.name));
    expect(chosen[0].levels.map((l) => l.sparsity)).toEqual([0.5]);
    expect(chosen[1].levels.map((l) => l.sparsity)).toEqual([0.2, 0.25, 0.3, 0.35, 0.4]);
    expect(chosen[2].levels).toHaveLength(20);
  });

  test('costs of a policy are those that are counted on the masked model', () => {
    const policy = policyOf(Object.fromEntries(layers.map((l, i) => [l.name, 0.9 - 0.1 * i])));
    const { layers: _, ...counted } = countCosts(applyMasks(model, masksOf(model, layers, policy.sparsity)));
    const computed = maskedCost(model, layers, costs)(policy);
    expect(computed.effectiveParams).toBe(counted.effectiveParams);
    expect(computed.effectiveMacs).toBeCloseTo(counted.effectiveMacs, -1);
    expect(computed.params).toBe(costs.params);
    expect(computed.macs).toBe(costs.macs);
  });
});

describe('environment', () => {
  const chosen = units(maskLayers(model, layers, configWith()));
  const cost = maskedCost(model, layers, costs);
  const config = configWith({ goal: { params: 0.2, flops: 0.5 } });
  const budget = maskBudget(chosen, cost, costs, config);
  const make = (limit = budget) =>
    new WeightMaskEnvironment({
      layers: chosen,
      budget: limit,
      accuracy: 0.9,
      evaluate: async (decisions) => ({ accuracy: 1 - decisions.reduce((a, [, s]) => a + s, 0) / 10, flops: 1, measures: {} }),
    });

  test('keeps the contract of environments', async () => {
    expect(await checkEnvironment(() => make(), new Random(3))).toEqual([]);
  });

  test('whatever an agent does, the budget is kept and no layer is emptied', async () => {
    for (const action of [0, 0.3, 1]) {
      const environment = make();
      let step = await environment.reset();
      for (;;) {
        const { next } = await environment.step(action * step.bounds.high);
        if (!next) break;
        step = next;
      }
      const left = cost(policyOf(Object.fromEntries(environment.decisions())));
      expect(left.effectiveParams).toBeLessThanOrEqual(0.2 * costs.params);
      expect(left.effectiveMacs).toBeLessThanOrEqual(0.5 * costs.macs);
      for (const mask of masksOf(model, layers, Object.fromEntries(environment.decisions())).values()) expect(mask).toContain(1);
    }
  });

  test('a budget out of reach says what is left', () => {
    expect(() => maskBudget(chosen, cost, costs, configWith({ goal: { params: 0.01 } }))).toThrow(
      /^goal\.params: at most 617 of 61706 cannot be reached; with every layer masked as far as allowed \d+ are left$/,
    );
  });
});

describe('the network of an episode', () => {
  const random = new Random(5);
  const batches: TuningBatch[] = Array.from({ length: 3 }, () => ({
    inputs: Float32Array.from({ length: 8 * 28 * 28 }, () => random.normal()),
    labels: Int32Array.from({ length: 8 }, () => random.below(10)),
  }));
  const tuning = { batches, steps: 2, learningRate: 0.01 };
  const [a, b, c] = layers.map((l) => l.name);
  const first: MaskDecision[] = [[a, 0.5]];
  const other: MaskDecision[] = [
    [a, 0.5],
    [b, 0.3],
    [c, 0.9],
  ];
  let used: WeightMaskTrajectory;
  let fresh: WeightMaskTrajectory;
  beforeAll(() => {
    used = new WeightMaskTrajectory(model, layers, tuning);
    fresh = new WeightMaskTrajectory(model, layers, tuning);
  });
  afterAll(async () => {
    await used.dispose();
    await fresh.dispose();
  });

  test('does not depend on what was asked for before', async () => {
    await used.at(first);
    await used.at([
      [a, 0.2],
      [b, 0.8],
    ]);
    await used.at(first);
    const [one, two] = [(await used.at(other))!, (await fresh.at(other))!];
    for (const { name } of layers) expect(weightOf(one, name)).toEqual(weightOf(two, name));
  });

  test('holds the masks while everything else is trained', async () => {
    const trained = (await used.at(other))!;
    for (const [name, share] of other) {
      const zeros = weightOf(trained, name).reduce((n, w) => n + (w === 0 ? 1 : 0), 0);
      expect(zeros).toBe(Math.round(share * weightOf(model, name).length));
    }
    expect(weightOf(trained, layers[3].name)).not.toEqual(weightOf(model, layers[3].name));
  });

  test('without fine-tuning the other weights are the original’s', async () => {
    const plain = new WeightMaskTrajectory(model, layers);
    const masked = (await plain.at(first))!;
    const share = sparsityBelow(weightOf(model, a), 1);
    expect(share).toBeGreaterThan(0);
    expect([...weightOf(masked, a)].filter((w) => w !== 0)).toHaveLength(Math.round(0.5 * weightOf(model, a).length));
    expect(weightOf(masked, b)).toEqual(weightOf(model, b));
  });

  test('where the fine-tuning diverges there is none, and the next policy begins anew', async () => {
    const wild = new WeightMaskTrajectory(model, layers, { ...tuning, learningRate: 1e9 });
    expect(await wild.at(other)).toBeUndefined();
    await wild.dispose();
    await used.at(other.slice(0, 2));
    // The third layer is masked by then.
    const step = vi.spyOn(Trainer.prototype, 'step').mockRejectedValueOnce(new TrainingDiverged('the loss is NaN'));
    expect(await used.at(other)).toBeUndefined();
    step.mockRestore();
    const next: MaskDecision[] = [...other.slice(0, 2), [c, 0.1]];
    const [one, two] = [(await used.at(next))!, (await fresh.at(next))!];
    for (const { name } of layers) expect(weightOf(one, name)).toEqual(weightOf(two, name));
  });

  test('a candidate that diverges scores 0, is timed where that is asked for, and is built without fine-tuning', async () => {
    const inputs = batches[0].inputs;
    const samples = { inputs, shape: [1, 28, 28], count: 8 };
    const actor = new CompressionActor({
      model: modelBytes(model),
      scoring: { ...samples, labels: batches[0].labels },
      calibration: samples,
      pruning: { selection: 'l1', reconstruct: false, positions: 1, seed: 1 },
      masking: { ...tuning, learningRate: 1e9 },
    });
    expect(await actor.run({ kind: 'mask', decisions: other })).toEqual({ accuracy: 0, diverged: true });
    const timed = await actor.run({ kind: 'mask', decisions: other, latency: true });
    expect(timed).toMatchObject({ accuracy: 0, diverged: true });
    expect(timed.latency).toBeGreaterThan(0);
    const built = parseModel((await actor.run({ kind: 'build-mask', decisions: other })).model!);
    const masked = applyMasks(model, masksOf(model, layers, Object.fromEntries(other)));
    for (const { name } of layers) expect(weightOf(built, name)).toEqual(weightOf(masked, name));
    await actor.dispose();
  });
});

test('a run whose candidates all diverge ends, and names the rate once', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'espalier-diverging-'));
  try {
    saveModel(model, join(folder, 'lenet5.onnx'));
    const { folder: run, scorings } = await startRun(
      configWith({
        data: { name: 'digits', digits: { train: 256, test: 100 } },
        method: { name: 'purl', options: { tuneRate: 1e9, tuneSteps: 2, tuneBatch: 8, tuneBatches: 8 } },
        goal: { params: 0.5 },
        stages: { prune: true, quantize: false },
        search: { episodes: 2, actors: 2 },
        recovery: { epochs: 0 },
        threads: 1,
      }),
      { folder },
    );
    expect(scorings.prune.scorings).toBeGreaterThan(layers.length);
    const { events } = readJournal(join(run, 'journal.jsonl'));
    expect(events.filter((e) => e.type === 'warning' && e.message.includes('method.options.tuneRate'))).toHaveLength(1);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}, 120_000);
