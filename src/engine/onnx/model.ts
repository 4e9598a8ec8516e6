/**
 * The one representation of a network in Espalier: an ONNX graph as plain, immutable-by-convention data.
 * Passes take a Model and return a new one; tensors and untouched nodes are shared, never written to.
 */
import { UserError } from '../errors';
import {
  type AttributeProto,
  AttributeType,
  type GraphProto,
  type Int64,
  type ModelProto,
  type NodeProto,
  type TensorProto,
  type UnknownFields,
  type ValueInfoProto,
} from './schema';
import { type DataType, dataTypeCode, dataTypeOf, Tensor, tensorFromProto, tensorToProto } from './tensor';

/** One axis of a shape: a length, or the name of a length not known until the model runs ('batch'; '' where the file gives none). */
export type Dim = number | string;
export type Shape = readonly Dim[];

/** A named input or output of the graph. `shape` is undefined where even the rank is unknown. */
export interface ValueInfo {
  readonly name: string;
  readonly type: DataType;
  readonly shape?: Shape;
  /** The file's own entry, for types that are not tensors and for fields Espalier does not read. */
  readonly proto?: ValueInfoProto;
}

export interface Node {
  readonly name: string;
  readonly opType: string;
  /** '' is the standard domain ('ai.onnx' is read as ''). */
  readonly domain: string;
  /** Value names; '' where an optional input is left out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: ReadonlyMap<string, AttributeProto>;
  /** Where in the source the node was made, as exporters note it, and other metadata. */
  readonly metadata?: ReadonlyMap<string, string>;
  readonly unknown?: UnknownFields;
}

export interface Graph {
  readonly name: string;
  /** In an order in which every value is produced before it is used. */
  readonly nodes: readonly Node[];
  /** What the caller feeds: initializers that older files also list as inputs are left out. */
  readonly inputs: readonly ValueInfo[];
  readonly outputs: readonly ValueInfo[];
  readonly initializers: ReadonlyMap<string, Tensor>;
  readonly unknown?: UnknownFields;
}

export interface Model {
  readonly graph: Graph;
  /** Operator set version by domain ('' is the standard one). */
  readonly opsets: ReadonlyMap<string, number>;
  readonly irVersion: number;
  readonly metadata: ReadonlyMap<string, string>;
  /** Producer, version and the like, written back as read. */
  readonly header: Omit<ModelProto, 'graph' | 'opsetImport' | 'metadataProps' | 'irVersion'>;
}

export type AttributeValue = number | string | readonly number[] | Float32Array | Tensor | { readonly float: number };

/** An attribute from a plain value: whole numbers are INT, arrays INTS, Float32Array FLOATS, `{ float }` FLOAT. */
export function attribute(name: string, value: AttributeValue): AttributeProto {
  const base = { name, strings: [], tensors: [], graphs: [] };
  if (typeof value === 'string') return { ...base, type: AttributeType.STRING, s: new TextEncoder().encode(value) };
  if (typeof value === 'number') return { ...base, type: AttributeType.INT, i: value };
  if (value instanceof Float32Array) return { ...base, type: AttributeType.FLOATS, floats: value };
  if (value instanceof Tensor) return { ...base, type: AttributeType.TENSOR, t: tensorToProto(value) };
  if ('float' in value) return { ...base, type: AttributeType.FLOAT, f: value.float };
  return { ...base, type: AttributeType.INTS, ints: [...value] };
}

/** A node from plain values; `name` defaults to the first output's name. */
export function makeNode(
  opType: string,
  inputs: readonly string[],
  outputs: readonly string[],
  attributes: Readonly<Record<string, AttributeValue | undefined>> = {},
  options: { name?: string; domain?: string } = {},
): Node {
  const map = new Map<string, AttributeProto>();
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined) map.set(key, attribute(key, value));
  return { name: options.name ?? outputs[0], opType, domain: options.domain ?? '', inputs, outputs, attributes: map };
}

/** Reads attributes of a node with their defaults; a wrong type is the file's fault and is named. */
export const attr = {
  int(node: Node, name: string, fallback: number): number {
    const a = node.attributes.get(name);
    return a?.i === undefined ? fallback : Number(a.i);
  },
  ints(node: Node, name: string): number[] | undefined {
    return (
      node.attributes.get(name)?.ints?.map((v: Int64) => Number(v)) ??
      (node.attributes.get(name)?.type === AttributeType.INTS ? [] : undefined)
    );
  },
  float(node: Node, name: string, fallback: number): number {
    const a = node.attributes.get(name);
    return a?.f === undefined ? fallback : a.f;
  },
  floats(node: Node, name: string): number[] | undefined {
    const f = node.attributes.get(name)?.floats;
    return f ? Array.from(f) : undefined;
  },
  string(node: Node, name: string, fallback: string): string {
    const s = node.attributes.get(name)?.s;
    return s ? new TextDecoder().decode(s) : fallback;
  },
  tensor(node: Node, name: string): Tensor | undefined {
    const t = node.attributes.get(name)?.t;
    return t && tensorFromProto(t, noExternal);
  },
};

/** True where the node holds subgraphs (If, Loop, Scan), whose bodies may use values of the outer graph. */
export const hasSubgraph = (node: Node): boolean => [...node.attributes.values()].some((a) => a.g !== undefined || a.graphs.length > 0);

/** Names of outer values that a node's subgraphs use. */
export function capturedNames(node: Node): string[] {
  const used: string[] = [];
  const visit = (g: GraphProto, outer: ReadonlySet<string>) => {
    const local = new Set(outer);
    for (const v of g.input) local.add(v.name ?? '');
    for (const t of g.initializer) local.add(t.name ?? '');
    for (const n of g.node) {
      for (const i of n.input) if (i && !local.has(i)) used.push(i);
      for (const a of n.attribute) for (const child of a.g ? [a.g, ...a.graphs] : a.graphs) visit(child, local);
      for (const o of n.output) local.add(o);
    }
    for (const o of g.output) if (o.name && !local.has(o.name)) used.push(o.name);
  };
  for (const a of node.attributes.values()) for (const g of a.g ? [a.g, ...a.graphs] : a.graphs) visit(g, new Set());
  return used;
}

const noExternal = (p: TensorProto): Uint8Array => {
  throw new UserError(`tensor '${p.name ?? ''}' keeps its data in another file, which is not possible inside a node's attribute`);
};

const readDim = (d: { dimValue?: Int64; dimParam?: string }): Dim => (d.dimValue !== undefined ? Number(d.dimValue) : (d.dimParam ?? ''));

function readValueInfo(p: ValueInfoProto): ValueInfo {
  const t = p.type?.tensorType;
  const shape = t?.shape?.dim.map(readDim);
  // A length of 0 or below in a file means "unknown" in practice (old exporters), except for real scalars, which have no axes.
  const clean = shape?.map((d) => (typeof d === 'number' && d < 0 ? '' : d));
  return { name: p.name ?? '', type: dataTypeOf(t?.elemType) ?? 'float32', shape: clean, proto: p };
}

function writeValueInfo(v: ValueInfo): ValueInfoProto {
  if (v.proto?.type && !v.proto.type.tensorType) return { ...v.proto, name: v.name };
  const dim = v.shape?.map((d) => (typeof d === 'number' ? { dimValue: d } : d === '' ? {} : { dimParam: d }));
  return {
    ...(v.proto ?? {}),
    name: v.name,
    type: { ...(v.proto?.type ?? {}), tensorType: { elemType: dataTypeCode(v.type), shape: dim && { dim } } },
  };
}

function readNode(p: NodeProto): Node {
  const domain = p.domain === 'ai.onnx' ? '' : (p.domain ?? '');
  return {
    name: p.name ?? '',
    opType: p.opType ?? '',
    domain,
    inputs: p.input,
    outputs: p.output,
    attributes: new Map(p.attribute.map((a) => [a.name ?? '', a])),
    metadata: p.metadataProps.length ? new Map(p.metadataProps.map((e) => [e.key ?? '', e.value ?? ''])) : undefined,
    unknown: p.unknown,
  };
}

function writeNode(n: Node): NodeProto {
  return {
    name: n.name,
    opType: n.opType,
    domain: n.domain === '' ? undefined : n.domain,
    input: [...n.inputs],
    output: [...n.outputs],
    attribute: [...n.attributes.values()],
    metadataProps: [...(n.metadata ?? [])].map(([key, value]) => ({ key, value })),
    unknown: n.unknown,
  };
}

/**
 * The Model of a decoded file, its nodes in topological order.
 * @param external resolves tensors kept in other files
 * @throws UserError naming the node or value where the graph is not one: cycles, values used but never made, values made twice
 */
export function modelFromProto(p: ModelProto, external: (t: TensorProto) => Uint8Array): Model {
  if (!p.graph) throw new UserError('the file holds no graph', 'Is it an ONNX model?');
  const { graph: g, opsetImport, metadataProps, irVersion, ...header } = p;
  const initializers = new Map<string, Tensor>();
  for (const t of g.initializer) initializers.set(t.name ?? '', tensorFromProto(t, external));
  const inputs = g.input.filter((v) => !initializers.has(v.name ?? '')).map(readValueInfo);
  const nodes = sortNodes(g.node.map(readNode), [...inputs.map((v) => v.name), ...initializers.keys()]);
  return {
    graph: { name: g.name ?? '', nodes, inputs, outputs: g.output.map(readValueInfo), initializers, unknown: g.unknown },
    opsets: new Map(opsetImport.map((o) => [o.domain === 'ai.onnx' ? '' : (o.domain ?? ''), Number(o.version ?? 1)])),
    irVersion: Number(irVersion ?? 3),
    metadata: new Map(metadataProps.map((e) => [e.key ?? '', e.value ?? ''])),
    header,
  };
}

export function modelToProto(m: Model): ModelProto {
  const { graph: g } = m;
  return {
    ...m.header,
    irVersion: m.irVersion,
    opsetImport: [...m.opsets].map(([domain, version]) => ({ domain, version })),
    metadataProps: [...m.metadata].map(([key, value]) => ({ key, value })),
    graph: {
      name: g.name,
      node: g.nodes.map(writeNode),
      initializer: [...g.initializers.values()].map(tensorToProto),
      // Before IR version 4 an initializer must be listed as an input as well.
      input: [
        ...g.inputs.map(writeValueInfo),
        ...(m.irVersion < 4 ? [...g.initializers.values()].map((t) => writeValueInfo({ name: t.name, type: t.type, shape: t.dims })) : []),
      ],
      output: g.outputs.map(writeValueInfo),
      valueInfo: [],
      unknown: g.unknown,
    },
  };
}

/** Topological order (Kahn), stable: nodes that are already in order keep it. */
export function sortNodes(nodes: readonly Node[], given: readonly string[]): Node[] {
  const ready = new Set<string>(['', ...given]);
  const producer = new Map<string, Node>();
  for (const n of nodes) {
    for (const o of n.outputs) {
      if (o === '') continue;
      if (producer.has(o) || ready.has(o))
        throw new UserError(`value '${o}' is produced twice (second time by node '${n.name || n.opType}')`);
      producer.set(o, n);
    }
  }
  const wants = (n: Node): string[] => [...n.inputs, ...(hasSubgraph(n) ? capturedNames(n) : [])].filter((i) => i !== '');
  const missing = new Map<Node, number>();
  const waiting = new Map<string, Node[]>();
  const queue: Node[] = [];
  for (const n of nodes) {
    const open = new Set(wants(n).filter((i) => !ready.has(i)));
    for (const i of open) {
      if (!producer.has(i)) throw new UserError(`node '${n.name || n.opType}' (${n.opType}) uses '${i}', which nothing produces`);
      const list = waiting.get(i);
      if (list) list.push(n);
      else waiting.set(i, [n]);
    }
    missing.set(n, open.size);
  }
  const position = new Map(nodes.map((n, i) => [n, i]));
  const out: Node[] = [];
  // In-order files are the rule: walk in file order, and fall back to the queue for what becomes ready late.
  const emit = (n: Node) => {
    out.push(n);
    missing.set(n, -1);
    for (const o of n.outputs) {
      for (const w of waiting.get(o) ?? []) {
        const left = missing.get(w)! - 1;
        missing.set(w, left);
        if (left === 0 && position.get(w)! < cursor) queue.push(w);
      }
    }
  };
  let cursor = 0;
  for (; cursor < nodes.length; cursor++) {
    if (missing.get(nodes[cursor]) === 0) emit(nodes[cursor]);
    while (queue.length) emit(queue.shift()!);
  }
  if (out.length < nodes.length) {
    const stuck = nodes.find((n) => missing.get(n)! > 0)!;
    throw new UserError(`the graph has a cycle through node '${stuck.name || stuck.opType}' (${stuck.opType})`);
  }
  return out;
}

/** The version of the standard operator set that the model uses. */
export const opsetOf = (m: Model): number => m.opsets.get('') ?? 1;

/** A model with another graph. */
export const withGraph = (m: Model, graph: Partial<Graph>): Model => ({ ...m, graph: { ...m.graph, ...graph } });
