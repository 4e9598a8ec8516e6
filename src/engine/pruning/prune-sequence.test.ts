import { describe, expect, test } from 'vitest';
import { findChannelGroups } from '../graph/channel-groups';
import { modelBytes } from '../onnx/file';
import type { Model } from '../onnx/model';
import { GraphBuilder, type Value } from '../ops/builder';
import { Random } from '../random';
import { floatTensor, Session } from '../runtime/onnxruntime';
import type { CalibrationInputs } from './layer-sampler';
import { channelSelections, SequentialPruner, type SequentialPrunerOptions } from './prune-sequence';

/**
 * Test networks in which half of each prunable layer's channels are copies of the other half (other sizes, same sign, so that
 * they stay proportional through ReLU). Removing them and rebuilding must give back the original function; removing them alone
 * must not. `conv1` and `bn` write such channels.
 */
class Redundant {
  readonly b = new GraphBuilder();
  readonly random = new Random(4);

  noise(dims: readonly number[], scale = 1): Float32Array {
    return Float32Array.from({ length: dims.reduce((a, c) => a * c, 1) }, () => scale * this.random.normal());
  }

  /** Weights [n, rest]: row i + n/2 is row i times 0.5 + i/n. */
  doubled(dims: readonly number[]): Float32Array {
    const w = this.noise(dims, 0.6);
    const [n] = dims;
    const size = w.length / n;
    for (let i = 0; i < n / 2; i++) for (let k = 0; k < size; k++) w[(i + n / 2) * size + k] = w[i * size + k] * (0.5 + i / n);
    return w;
  }

  conv(
    x: Value,
    n: number,
    name: string,
    options: { twice?: boolean; bias?: boolean; attributes?: Record<string, number[]>; kernel?: number[] } = {},
  ): Value {
    const kernel = options.kernel ?? [3, 3];
    const dims = [n, x.shape[1], ...kernel];
    const w = this.b.floats(`${name}.weight`, dims, options.twice ? this.doubled(dims) : this.noise(dims, 0.4));
    const bias = options.bias ? this.b.floats(`${name}.bias`, [n], options.twice ? this.doubled([n]) : this.noise([n])) : undefined;
    return this.b.op('Conv', bias ? [x, w, bias] : [x, w], options.attributes ?? { pads: [1, 1, 1, 1] }, { name });
  }

  /** `plain` where the channels before it repeat: one map for all would break the proportion, so the shift is 0 and the scale 1. */
  normalize(x: Value, name: string, plain = false): Value {
    const n = x.shape[1];
    const vector = (part: string, f: (i: number) => number) =>
      this.b.floats(
        `${name}.${part}`,
        [n],
        Float32Array.from({ length: n }, (_, i) => f(i)),
      );
    return this.b.op(
      'BatchNormalization',
      [
        x,
        vector('weight', (i) => (plain ? 1 : 0.5 + i / n)),
        vector('bias', (i) => (plain ? 0 : 0.3 - i / n)),
        vector('mean', (i) => (plain ? 0 : i / n - 0.2)),
        vector('var', (i) => (plain ? 1 : 1 + i)),
      ],
      {},
      { name },
    );
  }

  relu(x: Value): Value {
    return this.b.op('Relu', [x]);
  }

  finish(y: Value): Model {
    this.b.output(y, 'y', ['N', ...y.shape.slice(1)]);
    return this.b.build();
  }
}

interface Network {
  readonly shape: readonly number[];
  readonly prune: readonly string[];
  readonly make: (r: Redundant) => Model;
}

const networks: Record<string, Network> = {
  'conv ─ relu ─ conv with bias': {
    shape: [3, 8, 8],
    prune: ['a'],
    make: (r) => r.finish(r.conv(r.relu(r.conv(r.b.input('x', ['N', 3, 8, 8]), 6, 'a', { twice: true })), 4, 'c', { bias: true })),
  },
  'a convolution that has no bias, stride 2': {
    shape: [3, 8, 8],
    prune: ['a'],
    make: (r) =>
      r.finish(
        r.conv(r.relu(r.conv(r.b.input('x', ['N', 3, 8, 8]), 6, 'a', { twice: true })), 4, 'c', {
          attributes: { strides: [2, 2], pads: [1, 1, 1, 1] },
        }),
      ),
  },
  'residual block: conv ─ bn ─ relu ─ conv ─ bn ─ add ─ relu, twice': {
    shape: [4, 8, 8],
    prune: ['a1', 'b1'],
    make: (r) => {
      const x = r.b.input('x', ['N', 4, 8, 8]);
      const block = (v: Value, name: string) => {
        const inner = r.relu(r.normalize(r.conv(v, 6, `${name}1`, { twice: true }), `${name}n1`, true));
        return r.relu(r.b.op('Add', [r.normalize(r.conv(inner, 4, `${name}2`), `${name}n2`), v]));
      };
      return r.finish(block(block(x, 'a'), 'b'));
    },
  },
  'projection shortcut, its input pruned': {
    shape: [3, 8, 8],
    prune: ['stem'],
    make: (r) => {
      const stem = r.relu(r.conv(r.b.input('x', ['N', 3, 8, 8]), 6, 'stem', { twice: true, bias: true }));
      const main = r.conv(r.relu(r.conv(stem, 5, 'main1', { bias: true })), 4, 'main2', { bias: true });
      const side = r.normalize(r.conv(stem, 4, 'side', { kernel: [1, 1], attributes: {} }), 'sidebn');
      return r.finish(r.relu(r.b.op('Add', [main, side])));
    },
  },
  'flattened into a fully connected layer (transB)': {
    shape: [2, 4, 4],
    prune: ['a'],
    make: (r) => {
      const flat = r.b.op('Flatten', [r.relu(r.conv(r.b.input('x', ['N', 2, 4, 4]), 4, 'a', { twice: true }))], { axis: 1 });
      const w = r.b.floats('fc.weight', [5, 64], r.noise([5, 64], 0.3));
      return r.finish(r.b.op('Gemm', [flat, w, r.b.floats('fc.bias', [5], r.noise([5]))], { transB: 1 }, { name: 'fc' }));
    },
  },
  'two matrix products with biases added': {
    shape: [6, 5],
    prune: ['first'],
    make: (r) => {
      const x = r.b.input('x', ['N', 6, 5]);
      const weights = r.doubled([8, 5]);
      const turned = Float32Array.from({ length: 40 }, (_, i) => weights[(i % 8) * 5 + Math.floor(i / 8)]);
      const hidden = r.relu(r.b.op('MatMul', [x, r.b.floats('w1', [5, 8], turned)], {}, { name: 'first' }));
      const out = r.b.op('MatMul', [hidden, r.b.floats('w2', [8, 3], r.noise([8, 3]))], {}, { name: 'second' });
      return r.finish(r.b.op('Add', [out, r.b.floats('b2', [3], r.noise([3]))]));
    },
  },
};

const inputsFor = (shape: readonly number[], count: number, seed: number): CalibrationInputs => {
  const random = new Random(seed);
  return { inputs: Float32Array.from({ length: count * shape.reduce((a, b) => a * b, 1) }, () => random.normal()), shape, count };
};

async function outputsOf(model: Model, { inputs, shape, count }: CalibrationInputs): Promise<Float32Array> {
  const session = await Session.create(model, { threads: 1 });
  const result = await session.run({ x: floatTensor(inputs, [count, ...shape]) });
  await session.release();
  return result.y.data as Float32Array;
}

/** ‖a − b‖² / ‖b‖² */
const relativeError = (a: Float32Array, b: Float32Array): number =>
  a.reduce((s, v, i) => s + (v - b[i]) ** 2, 0) / b.reduce((s, v) => s + v * v, 0);

async function pruned(network: Network, options: SequentialPrunerOptions) {
  const original = network.make(new Redundant());
  const { groups } = findChannelGroups(original);
  const pruner = await SequentialPruner.create(original, groups, inputsFor(network.shape, 60, 1), new Random(3), options);
  const steps = [];
  for (const id of network.prune) steps.push(await pruner.prune(id, { keep: groups.find((g) => g.id === id)!.channels / 2 }));
  const model = await pruner.finished();
  await pruner.release();
  return { original, model, steps };
}

describe.each(Object.entries(networks))('%s', (_, network) => {
  const fresh = inputsFor(network.shape, 20, 99);

  test.each(['backward-elimination', 'lasso'])('redundant channels go without a trace (%s)', async (selection) => {
    // LASSO ranks copies of one channel by size, so it may keep two copies: only its rebuilding is checked, more loosely.
    const { original, model, steps } = await pruned(network, { selection, ridge: 1e-5, positions: 40 });
    const error = relativeError(await outputsOf(model, fresh), await outputsOf(original, fresh));
    expect(error).toBeLessThan(selection === 'lasso' ? 0.35 : 3e-3);
    for (const s of steps) expect(s.rebuilt.length).toBeGreaterThan(0);
    expect(modelBytes(model).length).toBeLessThan(modelBytes(original).length);
  });

  test('without rebuilding they leave one', async () => {
    const { original, model, steps } = await pruned(network, { reconstruct: false });
    expect(relativeError(await outputsOf(model, fresh), await outputsOf(original, fresh))).toBeGreaterThan(0.02);
    expect(steps.flatMap((s) => s.rebuilt)).toEqual([]);
  });
});

const block = networks['residual block: conv ─ bn ─ relu ─ conv ─ bn ─ add ─ relu, twice'];

async function blockPruner(options: SequentialPrunerOptions = {}) {
  const original = block.make(new Redundant());
  const { groups } = findChannelGroups(original);
  return SequentialPruner.create(original, groups, inputsFor(block.shape, 30, 1), new Random(3), options);
}

/** A strong cut, so that errors remain: 2 of 6 channels stay in both blocks. */
async function cut(pruner: SequentialPruner): Promise<Model> {
  await pruner.prune('a1', { keep: 2 });
  await pruner.prune('b1', { keep: 2 });
  return pruner.finished();
}

test('the same inputs give the same bytes, in one pruner and in another, with or without what was kept of earlier steps', async () => {
  const pruner = await blockPruner();
  const first = modelBytes(await cut(pruner));
  pruner.reset();
  expect(pruner.removals.size).toBe(0);
  expect(modelBytes(await cut(pruner))).toEqual(first);
  await pruner.release();
  const other = await blockPruner({ cacheBytes: 0, activationBytes: 0 });
  expect(modelBytes(await cut(other))).toEqual(first);
  other.reset();
  await other.prune('a1', { keep: 3 });
  other.reset();
  expect(modelBytes(await cut(other))).toEqual(first);
  await other.release();
});

test('a sequence that branches off goes on from the common part', async () => {
  const pruner = await blockPruner();
  await pruner.prune('a1', { keep: 2 });
  await pruner.prune('b1', { keep: 4 });
  pruner.reset();
  const shared = await cut(pruner);
  await pruner.release();
  const fresh = await blockPruner();
  expect(modelBytes(await cut(fresh))).toEqual(modelBytes(shared));
  await fresh.release();
});

test('a ratio of 0 changes nothing while nothing was pruned', async () => {
  const pruner = await blockPruner();
  const step = await pruner.prune('a1', 0);
  expect(step).toEqual({ group: 'a1', kept: [0, 1, 2, 3, 4, 5], rebuilt: [], skipped: [] });
  expect(modelBytes(await pruner.finished())).toEqual(modelBytes(block.make(new Redundant())));
  await pruner.release();
});

test('later layers repair what earlier cuts did', async () => {
  const fresh = inputsFor(block.shape, 40, 98);
  const wanted = await outputsOf(block.make(new Redundant()), fresh);
  const errors: number[] = [];
  for (const refit of [true, false]) {
    const pruner = await blockPruner({ refit, positions: 40, rectifiedRounds: 0 });
    await pruner.prune('a1', { keep: 2 });
    const step = await pruner.prune('b1', { keep: 3 });
    expect(step.rebuilt.map((r) => r.layer)).toEqual(refit ? ['b1', 'b2'] : ['b2']);
    errors.push(relativeError(await outputsOf(await pruner.finished(), fresh), wanted));
    await pruner.release();
  }
  expect(errors[0]).toBeLessThan(errors[1]);
});

test.each(channelSelections)('%s keeps exactly as many channels as asked, the same ones every time', async (selection) => {
  const kept: Array<readonly number[]> = [];
  for (let k = 0; k < 2; k++) {
    const pruner = await blockPruner({ selection });
    kept.push((await pruner.prune('a1', { keep: 4 })).kept);
    await pruner.release();
  }
  expect(kept[0]).toHaveLength(4);
  expect(kept[1]).toEqual(kept[0]);
});

test('layers that cannot be rebuilt are named with the reason', async () => {
  const r = new Redundant();
  const flat = r.b.op('Flatten', [r.relu(r.conv(r.b.input('x', ['N', 3, 6, 6]), 4, 'a'))], { axis: 1 });
  const w = r.b.floats('t.weight', [144, 2], r.noise([144, 2]));
  const model = r.finish(r.b.op('Gemm', [flat, w], { alpha: { float: 2 } }, { name: 't' }));
  const { groups } = findChannelGroups(model);
  const pruner = await SequentialPruner.create(model, groups, inputsFor([3, 6, 6], 4, 1), new Random(3));
  const step = await pruner.prune('a', { keep: 2 });
  expect(step.rebuilt).toEqual([]);
  expect(step.skipped).toEqual([{ layer: 't', reason: 'it scales its product (alpha, beta)' }]);
  expect(step.fallback).toMatch(/no layer that reads group 'a' can be sampled/);
  await pruner.release();
});

test('what cannot be done is said', async () => {
  const pruner = await blockPruner();
  await expect(pruner.prune('z', 0.5)).rejects.toThrow("there is no channel group 'z'");
  await expect(pruner.prune('a1', { keep: 0 })).rejects.toThrow("cannot keep 0 of the 6 channels of group 'a1'");
  await pruner.prune('a1', 0.5);
  await expect(pruner.prune('a1', 0.5)).rejects.toThrow("channel group 'a1' was pruned before in this sequence");
  await pruner.release();
  await expect(blockPruner({ selection: 'best' })).rejects.toThrow("there is no channel selection 'best'");
});
