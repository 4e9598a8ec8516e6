import { describe, expect, test } from 'vitest';
import { chainGraph, lenetGraph, resnet20Graph } from '../../../test/webview/fixtures/networks';
import { edgePath } from './edge-path';
import { foldableScopes, startingScopes, visibleGraph } from './fold';
import { type Box, placeItems } from './place';

const overlaps = (a: Box, b: Box): boolean => a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

describe('folding', () => {
  const graph = resnet20Graph();

  test('a network of blocks starts with its blocks folded, a small one with every layer', () => {
    const visible = visibleGraph(graph, new Set(startingScopes(graph)));
    expect(visible.items.map((item) => item.label)).toEqual([
      'conv1',
      'relu',
      ...[1, 2, 3].flatMap((stage) => [0, 1, 2].map((block) => `layer${stage}.${block}`)),
      'avgpool',
      'flatten',
      'fc',
    ]);
    const lenet = lenetGraph();
    expect(visibleGraph(lenet, new Set(startingScopes(lenet))).items).toHaveLength(lenet.nodes.length);
  });

  test('every layer is in exactly one item, whatever is unfolded', () => {
    for (const expanded of [[], ['layer2'], ['layer2', 'layer2/1'], [...foldableScopes(graph).keys()]]) {
      const { items, itemOf } = visibleGraph(graph, new Set(expanded));
      expect(
        items
          .flatMap((item) => item.nodes)
          .map((node) => node.id)
          .sort(),
      ).toEqual(graph.nodes.map((node) => node.id).sort());
      for (const node of graph.nodes) expect(itemOf.get(node.id)!.nodes).toContain(node);
    }
  });

  test('edges inside a block vanish, those between blocks are one', () => {
    const { edges } = visibleGraph(graph, new Set());
    expect(edges.map((edge) => `${edge.from} ${edge.to}`)).toEqual([
      'conv1 relu',
      'relu scope:layer1',
      'scope:layer1 scope:layer2',
      'scope:layer2 scope:layer3',
      'scope:layer3 avgpool',
      'avgpool flatten',
      'flatten fc',
    ]);
  });

  test('a scope of one layer, or the same as the one around it, is none', () => {
    const [a, b, c] = chainGraph(3).nodes;
    const wrapped = {
      ...chainGraph(3),
      nodes: [
        { ...a, scope: ['net', 'stem', 'inner'] },
        { ...b, scope: ['net', 'stem', 'inner'] },
        { ...c, scope: ['net', 'head'] },
      ],
    };
    expect([...foldableScopes(wrapped).keys()]).toEqual(['net/stem']);
  });
});

describe('places', () => {
  const graph = resnet20Graph();

  test('unfolded, every card is where the worker put it', () => {
    const { boxes } = placeItems(graph, visibleGraph(graph, new Set(foldableScopes(graph).keys())))!;
    for (const [id, box] of boxes) expect(box).toEqual(graph.layout!.nodes[id]);
  });

  test('folded in part, no cards overlap, edges run down, and the graph is shorter', () => {
    for (const expanded of [[], ['layer1', 'layer2', 'layer3'], ['layer2', 'layer2/0'], ['layer3', 'layer3/0', 'layer3/2', 'layer1']]) {
      const visible = visibleGraph(graph, new Set(expanded));
      const { boxes, height } = placeItems(graph, visible)!;
      const all = [...boxes.values()];
      all.forEach((a, i) => {
        for (const b of all.slice(i + 1)) expect(overlaps(a, b)).toBe(false);
      });
      for (const { from, to } of visible.edges) expect(boxes.get(from)!.y).toBeLessThan(boxes.get(to)!.y);
      expect(height).toBeLessThan(graph.layout!.height);
    }
  });

  test('a chain of folded blocks is a straight line', () => {
    const visible = visibleGraph(graph, new Set());
    const { boxes } = placeItems(graph, visible)!;
    const middles = new Set([...boxes.values()].map((box) => Math.round(box.x + box.width / 2)));
    expect(middles.size).toBe(1);
  });

  test('without a layout of every node there is none', () => {
    const bare = chainGraph(3, false);
    expect(placeItems(bare, visibleGraph(bare, new Set()))).toBeUndefined();
    const partial = { ...chainGraph(3), layout: { width: 1, height: 1, nodes: {} } };
    expect(placeItems(partial, visibleGraph(partial, new Set()))).toBeUndefined();
  });
});

test('a line goes round a card that stands between', () => {
  const box = (y: number): Box => ({ x: 0, y, width: 100, height: 20 });
  const [from, between, to] = [box(0), box(60), box(120)];
  expect(edgePath(from, to, [from, to])).toBe('M50 20C50 60 50 80 50 120');
  expect(edgePath(from, to, [from, between, to])).toContain('V');
  const xs = [...edgePath(from, to, [between]).matchAll(/[ C](\d+) \d+/g)].map((match) => Number(match[1]));
  expect(Math.max(...xs)).toBeGreaterThan(100);
});
