/** A model as people see it (protocol/layer-graph.ts): nodes with shapes and costs, edges, channel groups with their explanation. */
import type { ChannelGroupInfo, LayerEdge, LayerGraph, LayerNode, ValueShape } from '../../protocol/layer-graph';
import { type Model, type Node, opsetOf, readsOf } from '../onnx/model';
import { isFloat } from '../onnx/tensor';
import { findOperator } from '../ops/registry';
import type { ChannelGroup, FrozenReason } from './channel-group';
import { findChannelGroups } from './channel-groups';
import { countCosts, type LayerCost } from './costs';
import { type Inferred, inferTypes } from './infer';
import { layerNames } from './layer-names';
import { nodeMacs, quantizableLayers, samplesOf } from './layers';

export interface LayerGraphOptions {
  readonly modelPath: string;
  /** SHA-256 of the file, in hexadecimal. */
  readonly sha256: string;
  readonly format?: string;
}

/** @param model after the normalising passes, so that names are those of policies and configs */
export function layerGraph(model: Model, { modelPath, sha256, format = 'onnx' }: LayerGraphOptions): LayerGraph {
  const { graph } = model;
  const names = layerNames(model);
  const open = inferTypes(model);
  const single = inferTypes(model, { batch: 1 });
  const costs = countCosts(model, single);
  const costOf = new Map<Node, Pick<LayerCost, 'macs' | 'params' | 'weightBytes'>>();
  for (const cost of costs.layers) costOf.set(cost.node, sumOf(costOf.get(cost.node), cost));
  const quantizable = new Set(quantizableLayers(model, single).map((l) => l.name));
  const { groups, frozen } = findChannelGroups(model);
  const infos = [...groups.map((g) => groupInfo(g, graph.nodes, names)), ...frozen.map(frozenInfo)];
  const touching = new Map<string, string[]>();
  for (const info of infos) {
    for (const layer of new Set([...info.producers, ...info.carriers, ...info.consumers]))
      touching.set(layer, [...(touching.get(layer) ?? []), info.id]);
  }
  const pruned = new Set(groups.flatMap((g) => g.producers.flatMap((m) => m.layers)));
  const samples = samplesOf(model);

  const nodes = graph.nodes.map((node): LayerNode => {
    const name = names.get(node)!;
    const known = findOperator(node.opType, node.domain) !== undefined;
    const cost = costOf.get(node);
    const reason = pruned.has(name) ? undefined : frozen.find((f) => f.layers.includes(name))?.reason;
    const values = node.inputs.filter((i) => i !== '' && !graph.initializers.has(i));
    const weights = node.inputs.filter((i) => isFloat(graph.initializers.get(i)?.type ?? 'int64'));
    return {
      id: name,
      name,
      opType: node.opType,
      domain: node.domain,
      scope: scopeOf(name),
      inputs: values.map((v) => valueShape(v, open)),
      outputs: node.outputs.filter((o) => o !== '').map((v) => valueShape(v, open)),
      weights: weights.map((w) => valueShape(w, open)),
      macs: known ? (cost?.macs ?? nodeMacs(model, node, single) / samples) : null,
      params: cost?.params ?? 0,
      bytes: cost?.weightBytes ?? 0,
      groups: touching.get(name) ?? [],
      quantizable: quantizable.has(name) ? name : undefined,
      notPrunable: reason,
      source: sourceOf(node),
    };
  });
  return {
    modelPath,
    sha256,
    format,
    opset: opsetOf(model),
    inputs: graph.inputs.map((v) => valueShape(v.name, open)),
    outputs: graph.outputs.map((v) => valueShape(v.name, open)),
    nodes,
    edges: edgesOf(graph.nodes, names),
    groups: infos,
    macs: costs.macs,
    params: costs.params,
    bytes: costs.weightBytes,
    unknownOperators: open.unknownOperators.map(({ node, reason }) => ({ node: names.get(node)!, reason })),
  };
}

/** A recurrent node counts as two layers. */
const sumOf = (a: Pick<LayerCost, 'macs' | 'params' | 'weightBytes'> | undefined, b: LayerCost) =>
  a ? { macs: a.macs + b.macs, params: a.params + b.params, weightBytes: a.weightBytes + b.weightBytes } : b;

function valueShape(name: string, { types }: Inferred): ValueShape {
  const type = types.get(name);
  return { name, type: type?.type ?? 'float32', shape: type?.shape?.map((d) => (d === '' ? null : d)) ?? null };
}

function edgesOf(nodes: readonly Node[], names: ReadonlyMap<Node, string>): LayerEdge[] {
  const maker = new Map<string, string>();
  for (const node of nodes) for (const o of node.outputs) if (o !== '') maker.set(o, names.get(node)!);
  return nodes.flatMap((node) =>
    [...new Set(readsOf(node))].flatMap((value) => {
      const from = maker.get(value);
      return from === undefined ? [] : [{ from, to: names.get(node)!, value }];
    }),
  );
}

function groupInfo(group: ChannelGroup, nodes: readonly Node[], names: ReadonlyMap<Node, string>): ChannelGroupInfo {
  const layersOf = (members: ChannelGroup['producers']): string[] => [...new Set(members.flatMap((m) => m.layers))];
  const producers = layersOf(group.producers);
  const consumers = layersOf(group.consumers);
  const values = new Set(group.values.map((v) => v.value));
  const carriers = nodes.filter((n) => n.outputs.some((o) => values.has(o))).map((n) => names.get(n)!);
  return {
    id: group.id,
    channels: group.channels,
    producers,
    carriers: [...new Set([...layersOf(group.parameters), ...carriers])].filter((n) => !producers.includes(n)),
    consumers,
    explanation: group.explain(),
    prunable: true,
  };
}

const frozenInfo = ({ id, channels, layers, reason }: FrozenReason): ChannelGroupInfo => ({
  id,
  channels,
  producers: [...layers],
  carriers: [],
  consumers: [],
  explanation: `${layers.join(', ')} out`,
  prunable: false,
  reason,
});

/** Name scopes: '/layer1/layer1.0/conv1/Conv' → layer1, 0, conv1; 'layer1.0.conv1' → layer1, 0. */
export function scopeOf(name: string): string[] {
  if (!name.includes('/')) return name.split('.').slice(0, -1);
  const parts = name.split('/').filter((p) => p !== '');
  return parts.slice(0, -1).map((p, i) => (i > 0 && p.startsWith(`${parts[i - 1]}.`) ? p.slice(parts[i - 1].length + 1) : p));
}

/** The innermost frame of a stack trace that an exporter left (PyTorch: `pkg.torch.onnx.stack_trace`). */
function sourceOf(node: Node): LayerNode['source'] {
  for (const [key, value] of node.metadata ?? []) {
    if (!key.endsWith('stack_trace')) continue;
    const frames = [...value.matchAll(/File "([^"]+)", line (\d+)/g)];
    const last = frames[frames.length - 1];
    if (last) return { file: last[1], line: Number(last[2]) };
  }
  return undefined;
}
