import { describe, expect, it } from 'vitest';
import { topologies } from '../../../test/topologies';
import { layerGraphSchema } from '../../protocol/layer-graph';
import { countCosts } from './costs';
import { layerGraph, scopeOf } from './layer-graph';

const of = (name: string) => layerGraph(topologies().find((t) => t.name === name)!.model, { modelPath: 'net.onnx', sha256: '00' });

describe('layerGraph', () => {
  it('is a valid record for every topology, with the costs of its parts', () => {
    for (const { model, name } of topologies()) {
      const graph = layerGraph(model, { modelPath: `${name}.onnx`, sha256: '00' });
      expect(() => layerGraphSchema.parse(graph)).not.toThrow();
      expect(new Set(graph.nodes.map((n) => n.id)).size).toBe(model.graph.nodes.length);
      expect(graph.nodes.reduce((a, n) => a + (n.macs ?? 0), 0)).toBeCloseTo(countCosts(model).macs);
      const ids = new Set(graph.nodes.map((n) => n.id));
      for (const e of graph.edges) expect(ids.has(e.from) && ids.has(e.to)).toBe(true);
      for (const g of graph.groups) for (const layer of [...g.producers, ...g.carriers, ...g.consumers]) expect(ids.has(layer)).toBe(true);
    }
  });

  it('says who makes, carries and reads the channels of a residual stream', () => {
    const graph = of('residual');
    const stem = graph.groups.find((g) => g.id === 'stem')!;
    expect(stem).toMatchObject({ prunable: true, producers: ['stem', 'b', 'd'], consumers: ['a', 'c', 'fc'] });
    expect(stem.carriers).toContain('b.add');
    expect(graph.nodes.find((n) => n.id === 'b')?.groups).toContain('stem');
  });

  it('gives the reason why a layer is not pruned', () => {
    const graph = of('plain');
    expect(graph.nodes.find((n) => n.id === 'fc2')?.notPrunable).toBe("is the model output 'fc2'");
    expect(graph.nodes.find((n) => n.id === 'conv1')?.notPrunable).toBeUndefined();
    expect(graph.groups.find((g) => g.id === 'fc2')).toMatchObject({ prunable: false, reason: "is the model output 'fc2'" });
  });

  it('reads scopes from names', () => {
    expect(scopeOf('/layer1/layer1.0/conv1/Conv')).toEqual(['layer1', '0', 'conv1']);
    expect(scopeOf('layer1.0.conv1')).toEqual(['layer1', '0']);
    expect(scopeOf('conv1')).toEqual([]);
  });
});
