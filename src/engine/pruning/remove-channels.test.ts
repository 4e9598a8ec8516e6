import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { type Topology, topologies } from '../../../test/topologies';
import type { ChannelGroup } from '../graph/channel-group';
import { findChannelGroups } from '../graph/channel-groups';
import { costAfter, countCosts } from '../graph/costs';
import { inferTypes } from '../graph/infer';
import { normalize } from '../graph/passes/normalize';
import { loadModel } from '../onnx/file';
import { type Model, withGraph } from '../onnx/model';
import { elementCount } from '../onnx/tensor';
import { Random } from '../random';
import { floatTensor, Session } from '../runtime/onnxruntime';
import { maskChannels, otherChannels, removeChannels } from './remove-channels';
import { keptChannels } from './round-widths';

const inputFor = (shape: readonly number[], seed: number): Float32Array => {
  const random = new Random(seed);
  return Float32Array.from({ length: elementCount(shape) }, () => random.normal());
};

/** Outputs of the model, and shapes of every value in `watch`, which become outputs as well. */
async function run(model: Model, shape: readonly number[], watch: readonly string[] = []) {
  const known = new Set(model.graph.outputs.map((o) => o.name));
  const extra = watch.filter((w) => !known.has(w)).map((name) => ({ name, type: 'float32' as const }));
  const session = await Session.create(withGraph(model, { outputs: [...model.graph.outputs, ...extra] }), {
    threads: 1,
    optimization: 'basic',
  });
  try {
    return await session.run({ [model.graph.inputs[0].name]: floatTensor(inputFor(shape, 7), shape) });
  } finally {
    await session.release();
  }
}

/** Largest difference, relative to the largest magnitude. */
function relativeDifference(a: ArrayLike<number | bigint>, b: ArrayLike<number | bigint>): number {
  let difference = 0;
  let scale = 0;
  for (let i = 0; i < a.length; i++) {
    difference = Math.max(difference, Math.abs(Number(a[i]) - Number(b[i])));
    scale = Math.max(scale, Math.abs(Number(b[i])));
  }
  return difference / Math.max(scale, 1e-12);
}

async function expectEqual(
  model: Model,
  groups: ChannelGroup[],
  removals: Map<string, number[]>,
  shape: readonly number[],
): Promise<Model> {
  const removed = removeChannels(model, removals, groups);
  const small = await run(removed, shape);
  const masked = await run(maskChannels(model, removals, groups), shape);
  const whole = await run(model, shape);
  for (const { name } of model.graph.outputs) {
    expect(small[name].shape).toEqual(masked[name].shape);
    expect(relativeDifference(small[name].data, masked[name].data)).toBeLessThan(1e-4);
    // The removed channels mattered: otherwise equality would prove nothing.
    expect(relativeDifference(masked[name].data, whole[name].data)).toBeGreaterThan(1e-3);
  }
  return removed;
}

/** Between one and all but one of the group's channels. */
function draw(group: ChannelGroup, random: Random): number[] {
  const order = random.permutation(group.channels);
  return [...order.subarray(0, 1 + random.below(group.channels - 1))];
}

describe.each(topologies().map((t) => [t.name, t] as const))('%s', (_, topology: Topology) => {
  const groups = () => findChannelGroups(topology.model).groups;

  it(`has the expected groups: ${topology.picture}`, () => {
    expect(Object.fromEntries(groups().map((g) => [g.id, g.channels]))).toEqual(topology.groups);
  });

  it('freezes the output layer and what else cannot be cut, and says why', () => {
    const { frozen } = findChannelGroups(topology.model);
    const output = `is the model output '${topology.model.graph.outputs[0].name}'`;
    expect(Object.fromEntries(frozen.slice(0, -1).map((f) => [f.id, f.reason]))).toEqual(topology.frozen ?? {});
    expect(frozen.at(-1)).toMatchObject({ channels: 5, reason: output });
  });

  it('computes the same when channels are removed as when nobody reads them', async () => {
    const random = new Random(11);
    for (const g of groups()) {
      for (let i = 0; i < 2; i++) await expectEqual(topology.model, groups(), new Map([[g.id, draw(g, random)]]), topology.input);
    }
    for (let i = 0; i < 3; i++) {
      const removals = new Map(groups().map((g) => [g.id, draw(g, random)]));
      await expectEqual(topology.model, groups(), removals, topology.input);
    }
  });

  it('has after pruning the shapes that are inferred and the costs that were foretold', async () => {
    const random = new Random(5);
    const all = groups();
    const removals = new Map(all.map((g) => [g.id, draw(g, random)]));
    const removed = removeChannels(topology.model, removals, all);
    const inferred = inferTypes(removed, { batch: topology.input[0] });
    const values = removed.graph.nodes.flatMap((n) => n.outputs);
    const real = await run(removed, topology.input, values);
    for (const v of values) expect({ [v]: inferred.types.get(v)?.shape }).toEqual({ [v]: real[v].shape });
    const kept = Object.fromEntries(all.map((g) => [g.id, g.channels - removals.get(g.id)!.length]));
    const { macs, params, weightBytes } = countCosts(removed);
    expect(costAfter(topology.model, all)(kept)).toEqual({ macs, params, weightBytes });
    expect(params).toBeLessThan(countCosts(topology.model).params);
  });

  it('can be pruned again', async () => {
    const all = groups();
    const once = removeChannels(topology.model, new Map([[all[0].id, [0]]]), all);
    const again = findChannelGroups(once).groups;
    expect(again.map((g) => g.id)).toEqual(all.map((g) => g.id));
    expect(again[0].channels).toBe(all[0].channels - 1);
    await expectEqual(once, again, new Map([[again[0].id, [again[0].channels - 1]]]), topology.input);
  });
});

describe('what cannot be removed', () => {
  const { model } = topologies()[0];
  const { groups } = findChannelGroups(model);
  it.each([
    ['all channels', new Map([['conv1', [0, 1, 2, 3, 4, 5, 6, 7]]]), "all 8 channels of group 'conv1' would be removed"],
    ['an unknown group', new Map([['conv9', [0]]]), "there is no channel group 'conv9'"],
    ['a channel that does not exist', new Map([['conv1', [8]]]), "channel group 'conv1' has no channel 8"],
  ])('refuses %s', (_, removals, message) => {
    expect(() => removeChannels(model, removals, groups)).toThrow(message);
    expect(() => maskChannels(model, removals, groups)).toThrow(message);
  });

  it('leaves the model as it was', () => {
    const before = model.graph.initializers.get('conv2.weight')!.dims;
    removeChannels(model, new Map([['conv1', [0]]]), groups);
    expect(model.graph.initializers.get('conv2.weight')!.dims).toEqual(before);
  });
});

const data = process.env['ESPALIER_DATA'];
const REAL = [
  // [file, input, groups, channels in them]
  ['cifar10_resnet20.onnx', [2, 3, 32, 32], 12, 400],
  ['cifar10_resnet56.onnx', [1, 3, 32, 32], 30, 1072],
  ['cifar10_mlperftiny_resnet8_bn.onnx', [2, 3, 32, 32], 6, 224],
  ['imagenet_mobilenetv1_0.25_128_qat.onnx', [1, 3, 128, 128], 14, 1496],
  ['imagenet_mobilenetv2_1.0_224_qat.onnx', [1, 3, 224, 224], 25, 9128],
  ['mnist_cntk_cnn_opset8.onnx', [1, 1, 28, 28], 2, 24],
] as const;

describe.each(REAL)('%s', (file, shape, count, channels) => {
  const path = join(data ?? '', 'models', file);
  it.skipIf(!data || !existsSync(path))('equals the masked model with half of every group removed (needs ESPALIER_DATA)', async () => {
    const { model } = normalize(loadModel(path));
    const { groups, frozen } = findChannelGroups(model);
    expect([groups.length, groups.reduce((sum, g) => sum + g.channels, 0)]).toEqual([count, channels]);
    expect(frozen.map((f) => f.reason)).toEqual([`is the model output '${model.graph.outputs[0].name}'`]);
    const random = new Random(3);
    const removals = new Map<string, number[]>();
    for (const g of groups) {
      const kept = keptChannels(g, 0.5);
      if (kept < g.channels) removals.set(g.id, otherChannels(g, [...random.permutation(g.channels).subarray(0, kept)]));
    }
    expect(removals.size).toBeGreaterThan(groups.length / 2);
    const removed = await expectEqual(model, groups, removals, shape);
    const kept = Object.fromEntries(groups.map((g) => [g.id, g.channels - (removals.get(g.id)?.length ?? 0)]));
    const { macs, params, weightBytes } = countCosts(removed);
    expect(costAfter(model, groups)(kept)).toEqual({ macs, params, weightBytes });
  });
});
