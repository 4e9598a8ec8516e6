import { expect, it } from 'vitest';
import type { LayerNode } from '../../protocol/layer-graph';
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
  expect(layerFigures(conv, null)).toBe('Conv · 16×3×3×3 · 118 k MACs · 432 params · 1.7 kB');
  expect(layerFigures(conv, { ratios: { g: 0.4 }, bits: { c: 5 } })).toBe(
    'Conv · 16×3×3×3 · 118 k MACs · 432 params · 1.7 kB · prune 40 % · 5 bit',
  );
  expect(layerFigures(node('r'), null)).toBe('Relu');
});
