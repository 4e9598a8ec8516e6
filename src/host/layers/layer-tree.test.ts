import { expect, it } from 'vitest';
import type { ChannelGroupInfo, LayerNode } from '../../protocol/layer-graph';
import { type LayerBranch, layerFigures, layerTree } from './layer-tree';

const node = (id: string, scope: string[] = [], more: Partial<LayerNode> = {}): LayerNode => ({
  id,
  name: id,
  opType: 'Relu',
  domain: '',
  scope,
  inputs: [],
  outputs: [],
  weights: [],
  macs: 0,
  params: 0,
  bytes: 0,
  groups: [],
  ...more,
});

const outline = (branches: readonly LayerBranch[]): unknown[] =>
  branches.map((b) => (b.kind === 'scope' ? [b.name, ...outline(b.children)] : b.id));

it('folds scopes, each where its first layer stands', () => {
  const tree = layerTree({
    nodes: [node('in'), node('a', ['layer1', '0']), node('out'), node('b', ['layer1', '1']), node('c', ['layer1', '0'])],
  });
  expect(outline(tree)).toEqual(['in', ['layer1', ['0', 'a', 'c'], ['1', 'b']], 'out']);
});

it('equal names in different scopes stay apart', () => {
  expect(outline(layerTree({ nodes: [node('a', ['x', '0']), node('b', ['y', '0'])] }))).toEqual([
    ['x', ['0', 'a']],
    ['y', ['0', 'b']],
  ]);
});

it('figures', () => {
  const conv = node('c', [], {
    opType: 'Conv',
    weights: [{ name: 'w', type: 'float32', shape: [16, 3, 3, 3] }],
    macs: 118_000,
    params: 432,
    bytes: 1728,
    groups: ['g'],
    quantizable: 'c',
  });
  const group: ChannelGroupInfo = {
    id: 'g',
    channels: 16,
    producers: ['c'],
    carriers: ['r'],
    consumers: ['fc'],
    explanation: '',
    prunable: true,
  };
  const policy = { ratios: { g: 0.4 }, bits: { c: 5 } };
  expect(layerFigures(conv, null, [group])).toBe('Conv · 16×3×3×3 · 118 k MACs · 432 params · 1.7 kB');
  expect(layerFigures(conv, policy, [group])).toBe('Conv · 16×3×3×3 · 118 k MACs · 432 params · 1.7 kB · prune 40 % · 5 bit');
  // What carries or reads the channels loses none of its own; nor does a group that stays whole.
  expect(layerFigures(node('r', [], { groups: ['g'] }), policy, [group])).toBe('Relu');
  expect(layerFigures(node('fc', [], { opType: 'Gemm', groups: ['g'] }), policy, [group])).toBe('Gemm');
  expect(layerFigures(conv, policy, [{ ...group, prunable: false }])).not.toContain('prune');
  expect(layerFigures(node('r'), null, [])).toBe('Relu');
});
