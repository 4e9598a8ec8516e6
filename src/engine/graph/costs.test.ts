import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { topologies } from '../../../test/topologies';
import { loadModel } from '../onnx/file';
import { type Model, withGraph } from '../onnx/model';
import { zeroPositions } from '../onnx/slice-tensor';
import { findChannelGroups } from './channel-groups';
import { costAfter, countCosts } from './costs';
import { inferTypes } from './infer';
import { prunableLayers, quantizableLayers } from './layers';

const plain = (): Model => topologies()[0].model;

describe('countCosts', () => {
  it('counts a small network as by hand', () => {
    const costs = countCosts(plain());
    const conv1 = { macs: 8 * 64 * 3 * 9, params: 8 * 3 * 9 + 8 };
    const conv2 = { macs: 6 * 16 * 8 * 9, params: 6 * 8 * 9 + 6 };
    const fc1 = { macs: 96 * 12, params: 96 * 12 + 12 };
    const fc2 = { macs: 12 * 5, params: 12 * 5 + 5 };
    expect(costs.layers.map(({ name, macs, params }) => ({ name, macs, params }))).toEqual([
      { name: 'conv1', ...conv1 },
      { name: 'conv2', ...conv2 },
      { name: 'fc1', ...fc1 },
      { name: 'fc2', ...fc2 },
    ]);
    expect(costs.macs).toBe(conv1.macs + conv2.macs + fc1.macs + fc2.macs);
    expect(costs.weightBytes).toBe(4 * costs.params);
    expect([costs.effectiveMacs, costs.effectiveParams]).toEqual([costs.macs, costs.params]);
  });

  it('tells effective from structured figures', () => {
    const model = plain();
    const initializers = new Map(model.graph.initializers);
    initializers.set('conv2.weight', zeroPositions(initializers.get('conv2.weight')!, 0, [0, 1, 2]));
    const [before, after] = [countCosts(model), countCosts(withGraph(model, { initializers }))];
    expect(after.macs).toBe(before.macs);
    expect(after.params).toBe(before.params);
    expect(before.effectiveParams - after.effectiveParams).toBe(3 * 8 * 9);
    expect(before.effectiveMacs - after.effectiveMacs).toBe((6 * 16 * 8 * 9) / 2);
  });

  it('counts weights at their bits, with a scale for each output channel', () => {
    const costs = countCosts(plain(), undefined, { conv2: 3, fc1: 32 });
    const saved = 4 * 432 - ((432 * 3) / 8 + 4 * 6);
    expect(costs.weightBytes).toBe(countCosts(plain()).weightBytes - saved);
  });

  it('counts one sample where the file fixes a larger batch', () => {
    const model = plain();
    const fixed = withGraph(model, {
      inputs: [{ ...model.graph.inputs[0], shape: [4, 3, 8, 8] }],
      outputs: [{ ...model.graph.outputs[0], shape: [4, 5] }],
    });
    expect(countCosts(fixed).macs).toBe(countCosts(model).macs);
    expect(costAfter(fixed, [])({}).macs).toBe(countCosts(model).macs);
  });
});

it('costs after pruning are foretold from what was prepared once: the model is not looked at again', () => {
  const model = plain();
  let looks = 0;
  const watched: Model = {
    ...model,
    get graph() {
      looks++;
      return model.graph;
    },
  };
  const { groups } = findChannelGroups(model);
  const foretell = costAfter(watched, groups, inferTypes(model, { batch: 1 }));
  const prepared = looks;
  expect(prepared).toBeGreaterThan(0);
  const half = foretell(Object.fromEntries(groups.map((g) => [g.id, g.channels / 2])));
  expect(looks).toBe(prepared);
  expect(half.params).toBeLessThan(foretell({}).params);
});

describe('layers', () => {
  it('describes convolutions, depthwise ones and linear layers', () => {
    const { model } = topologies().find((t) => t.name === 'depthwise')!;
    const layers = quantizableLayers(model);
    expect(layers.map((l) => [l.name, l.kind, l.outChannels, l.inChannels, l.kernel, l.stride])).toEqual([
      ['conv1', 'convolution', 8, 3, [3, 3], 1],
      ['depth1', 'depthwise', 8, 8, [3, 3], 1],
      ['point1', 'convolution', 12, 8, [1, 1], 1],
      ['depth2', 'depthwise', 12, 12, [3, 3], 2],
      ['point2', 'convolution', 10, 12, [1, 1], 1],
      ['fc', 'linear', 5, 10, [1, 1], 1],
    ]);
    expect(layers[1].macs).toBe(8 * 64 * 9);
    expect(prunableLayers(model).map((l) => l.name)).toEqual(['conv1', 'point1', 'point2', 'fc']);
  });
});

describe('on real files (needs ESPALIER_DATA)', () => {
  const data = process.env['ESPALIER_DATA'];
  const path = join(data ?? '', 'models', 'cifar10_resnet20.onnx');
  it.skipIf(!data || !existsSync(path))('ResNet-20 has its published 269,722 parameters and 40.55 million multiply-accumulates', () => {
    const costs = countCosts(loadModel(path));
    expect(costs.params).toBe(269_722);
    expect(costs.macs).toBe(40_551_040);
  });
});
