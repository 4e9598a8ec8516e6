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
  type SparseTensorProto,
  type TensorProto,
  type UnknownFields,
  type ValueInfoProto,
} from './schema';
import { type DataType, dataTypeCode, dataTypeOf, type ExternalData, Tensor, tensorFromProto, tensorToProto } from './tensor';

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
  /**
   * What the file states of values inside the graph, by name: the only source of shapes behind operators that are not known.
   * A pass may leave entries behind that no longer hold; inference (graph/infer.ts) always comes first.
   */
  readonly valueInfo?: ReadonlyMap<string, ValueInfo>;
  /** Weights in sparse form, written back as read. */
  readonly sparseInitializers?: readonly SparseTensorProto[];
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

export type AttributeValue = number | string | readonly number[] | readonly string[] | Float32Array | Tensor | { readonly float: number };

/** An attribute from a plain value: whole numbers are INT, arrays INTS or STRINGS, Float32Array FLOATS, `{ float }` FLOAT. */
export function attribute(name: string, value: AttributeValue): AttributeProto {
  const base = { name, strings: [], tensors: [], graphs: [] };
  if (typeof value === 'string') return { ...base, type: AttributeType.STRING, s: new TextEncoder().encode(value) };
  if (typeof value === 'number') return { ...base, type: AttributeType.INT, i: value };
  if (value instanceof Float32Array) return { ...base, type: AttributeType.FLOATS, floats: value };
  if (value instanceof Tensor) return { ...base, type: AttributeType.TENSOR, t: tensorToProto(value) };
  if ('float' in value) return { ...base, type: AttributeType.FLOAT, f: value.float };
  const isText = (list: readonly number[] | readonly string[]): list is readonly string[] => typeof list[0] === 'string';
  if (isText(value)) return { ...base, type: AttributeType.STRINGS, strings: value.map((v) => new TextEncoder().encode(v)) };
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
    const a = typed(node, name, 'INT');
    // Writers of the newer syntax leave out a value of 0; so below.
    return a ? Number(a.i ?? (a.type ? 0 : fallback)) : fallback;
  },
  ints(node: Node, name: string): number[] | undefined {
    const a = typed(node, name, 'INTS');
    return a?.ints?.map((v: Int64) => Number(v)) ?? (a?.type ? [] : undefined);
  },
  float(node: Node, name: string, fallback: number): number {
    const a = typed(node, name, 'FLOAT');
    return a ? (a.f ?? (a.type ? 0 : fallback)) : fallback;
  },
  floats(node: Node, name: string): number[] | undefined {
    const a = typed(node, name, 'FLOATS');
    return a?.floats ? Array.from(a.floats) : a?.type ? [] : undefined;
  },
  string(node: Node, name: string, fallback: string): string {
    const a = typed(node, name, 'STRING');
    if (!a?.s) return a?.type ? '' : fallback;
    return new TextDecoder().decode(a.s);
  },
  strings(node: Node, name: string): string[] | undefined {
    return typed(node, name, 'STRINGS')?.strings?.map((s) => new TextDecoder().decode(s));
  },
  tensor(node: Node, name: string): Tensor | undefined {
    const t = typed(node, name, 'TENSOR')?.t;
    return t && tensorFromProto(t, noExternal);
  },
};

const typeNames = new Map<number, string>(Object.entries(AttributeType).map(([name, code]) => [code, name]));

/** The attribute, where it is there. Files before IR version 2 state no type (0). @throws UserError where it is of another type */
function typed(node: Node, name: string, type: keyof typeof AttributeType): AttributeProto | undefined {
  const a = node.attributes.get(name);
  if (a?.type && a.type !== AttributeType[type])
    throw new UserError(
      `attribute '${name}' of node '${labelOf(node)}' (${node.opType}) is of type ${typeNames.get(a.type) ?? a.type} where ${type} belongs`,
      'The file is damaged, or was written by a faulty exporter; export it again.',
    );
  return a;
}

/** What messages call a node: its name, else its first output, else its operator. */
const labelOf = (n: Node): string => n.name || n.outputs.find((o) => o !== '') || n.opType;

/** True where the node holds subgraphs (If, Loop, Scan), whose bodies may use values of the outer graph. */
export const hasSubgraph = (node: Node): boolean => [...node.attributes.values()].some((a) => a.g !== undefined || a.graphs.length > 0);

/** Names of outer values that a node's subgraphs use. */
export function capturedNames(node: Node): string[] {
  const used = new Set<string>();
  /** Names by scope, the innermost last. */
  const scopes: Array<ReadonlySet<string>> = [];
  const use = (name: string | undefined): void => {
    if (name && !scopes.some((scope) => scope.has(name))) used.add(name);
  };
  const visit = (g: GraphProto): void => {
    scopes.push(
      new Set([
        ...g.input.map((v) => v.name ?? ''),
        ...g.initializer.map((t) => t.name ?? ''),
        ...(g.sparseInitializer ?? []).map((t) => t.values?.name ?? ''),
        ...g.node.flatMap((n) => n.output),
      ]),
    );
    for (const n of g.node) {
      n.input.forEach(use);
      for (const a of n.attribute) subgraphsOf(a).forEach(visit);
    }
    for (const o of g.output) use(o.name);
    scopes.pop();
  };
  for (const a of node.attributes.values()) subgraphsOf(a).forEach(visit);
  return [...used];
}

const subgraphsOf = (a: AttributeProto): readonly GraphProto[] => (a.g ? [a.g, ...a.graphs] : a.graphs);

const noExternal: ExternalData = (p) => {
  throw new UserError(`tensor '${p.name ?? ''}' keeps its data in another file, which is not possible inside a node's attribute`);
};

/** A length below 0, or past what a number holds, means "unknown" in practice (old exporters write −1). */
const readDim = (d: { dimValue?: Int64; dimParam?: string }): Dim => {
  if (d.dimValue === undefined) return d.dimParam ?? '';
  const length = Number(d.dimValue);
  return Number.isSafeInteger(length) && length >= 0 ? length : '';
};

function readValueInfo(p: ValueInfoProto): ValueInfo {
  const t = p.type?.tensorType;
  return { name: p.name ?? '', type: dataTypeOf(t?.elemType) ?? 'float32', shape: t?.shape?.dim.map(readDim), proto: p };
}

function writeValueInfo(v: ValueInfo): ValueInfoProto {
  const read = v.proto?.type?.tensorType;
  if (v.proto && !read && !v.shape) return { ...v.proto, name: v.name };
  // Axes keep what else the file says of them (denotations), as long as their number is the same.
  const axes = read?.shape?.dim.length === v.shape?.length ? read?.shape?.dim : undefined;
  const dim = v.shape?.map((d, i) => ({
    ...(typeof d === 'number' ? { dimValue: d } : d === '' ? {} : { dimParam: d }),
    unknown: axes?.[i].unknown,
  }));
  // An element type of a later version of the format reads as float32; unchanged, it is written as it was.
  const elemType = read && !dataTypeOf(read.elemType) && v.type === 'float32' ? read.elemType : dataTypeCode(v.type);
  return {
    ...(v.proto ?? {}),
    name: v.name,
    type: { ...(v.proto?.type ?? {}), tensorType: { ...(read ?? {}), elemType, shape: dim && { ...(read?.shape ?? {}), dim } } },
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
 * @param external resolves tensors kept in other files; `needed` is how many bytes belong to the tensor
 * @throws UserError naming the node or value where the graph is not one: cycles, values used but never made, values made twice
 */
export function modelFromProto(p: ModelProto, external: ExternalData): Model {
  if (!p.graph) throw new UserError('the file holds no graph', 'Is it an ONNX model?');
  const { graph: g, opsetImport, metadataProps, irVersion, ...header } = p;
  const initializers = new Map<string, Tensor>();
  for (const t of g.initializer) {
    const name = t.name ?? '';
    if (name === '') throw new UserError('the graph holds a tensor without a name', DAMAGED);
    if (initializers.has(name)) throw new UserError(`tensor '${name}' is there twice`, DAMAGED);
    initializers.set(name, tensorFromProto(t, external));
  }
  const sparse = g.sparseInitializer ?? [];
  const given = new Set([...initializers.keys(), ...sparse.map((t) => t.values?.name ?? '')]);
  const inputs = g.input.filter((v) => !given.has(v.name ?? '')).map(readValueInfo);
  for (const { name } of inputs) {
    if (name === '') throw new UserError('the graph has an input without a name', DAMAGED);
    if (given.has(name)) throw new UserError(`the graph has two inputs named '${name}'`, DAMAGED);
    given.add(name);
  }
  const nodes = sortNodes(
    g.node.map((n) => readNode(inlined(n, external))),
    given,
  );
  for (const n of nodes) for (const o of n.outputs) given.add(o);
  const outputs = g.output.map(readValueInfo);
  for (const { name } of outputs)
    if (name === '' || !given.has(name)) throw new UserError(`nothing produces the graph's output '${name}'`, DAMAGED);
  const stated = g.valueInfo.map(readValueInfo);
  return {
    graph: {
      name: g.name ?? '',
      nodes,
      inputs,
      outputs,
      initializers,
      valueInfo: stated.length > 0 ? new Map(stated.map((v) => [v.name, v])) : undefined,
      sparseInitializers: sparse.length > 0 ? sparse : undefined,
      unknown: g.unknown,
    },
    opsets: new Map(
      opsetImport.map((o) => {
        const domain = o.domain === 'ai.onnx' ? '' : (o.domain ?? '');
        return [domain, version(o.version ?? 1, `operator set '${domain || 'ai.onnx'}'`)];
      }),
    ),
    irVersion: version(irVersion ?? 3, 'the file format (IR)'),
    metadata: new Map(metadataProps.map((e) => [e.key ?? '', e.value ?? ''])),
    header,
  };
}

/** Versions count up one by one from 1 (0 stands in files that left it open). */
function version(given: Int64, what: string): number {
  const n = Number(given);
  if (n < 0 || n > 2 ** 31) throw new UserError(`the file states the impossible version ${given} of ${what}`, DAMAGED);
  return n;
}

const DAMAGED = 'The file is damaged, or was written by a faulty exporter; export it again.';

/** A node whose tensors all lie in it: what attributes and subgraphs keep in other files is read in, so that the model can be moved. */
function inlined(n: NodeProto, external: ExternalData): NodeProto {
  if (n.attribute.every((a) => !a.t && a.tensors.length === 0 && !a.g && a.graphs.length === 0)) return n;
  const tensor = (t: TensorProto): TensorProto => (t.dataLocation === 1 ? tensorToProto(tensorFromProto(t, external)) : t);
  const graph = (g: GraphProto): GraphProto => ({
    ...g,
    node: g.node.map((child) => inlined(child, external)),
    initializer: g.initializer.map(tensor),
  });
  const attribute = n.attribute.map((a) => ({
    ...a,
    t: a.t && tensor(a.t),
    tensors: a.tensors.map(tensor),
    g: a.g && graph(a.g),
    graphs: a.graphs.map(graph),
  }));
  return { ...n, attribute };
}

export function modelToProto(m: Model): ModelProto {
  const { graph: g } = m;
  const made = new Set(g.nodes.flatMap((n) => n.outputs));
  for (const o of g.outputs) made.delete(o.name);
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
      valueInfo: [...(g.valueInfo?.values() ?? [])].filter((v) => made.has(v.name)).map(writeValueInfo),
      sparseInitializer: g.sparseInitializers && [...g.sparseInitializers],
      unknown: g.unknown,
    },
  };
}

/**
 * Topological order (Kahn), stable: nodes that are already in order keep it.
 * @param given values that are there without a node: inputs and initializers
 * @throws UserError naming the node: a value made twice, used but never made, or needed to make itself; a node without outputs
 */
export function sortNodes(nodes: readonly Node[], given: Iterable<string>): Node[] {
  const ready = new Set<string>(['', ...given]);
  /** Place of the node that makes a value. */
  const producer = new Map<string, number>();
  nodes.forEach((n, place) => {
    if (n.opType === '') throw new UserError(`node '${labelOf(n)}' names no operator`, DAMAGED);
    if (n.outputs.every((o) => o === '')) throw new UserError(`node '${labelOf(n)}' (${n.opType}) has no output`, DAMAGED);
    for (const o of n.outputs) {
      if (o === '') continue;
      if (producer.has(o) || ready.has(o))
        throw new UserError(`value '${o}' is produced twice (second time by node '${labelOf(n)}')`, DAMAGED);
      producer.set(o, place);
    }
  });
  const missing = new Int32Array(nodes.length);
  const waiting = new Map<string, number[]>();
  nodes.forEach((n, place) => {
    const wanted = hasSubgraph(n) ? [...n.inputs, ...capturedNames(n)] : n.inputs;
    const open = new Set(wanted.filter((i) => !ready.has(i)));
    for (const i of open) {
      if (!producer.has(i)) throw new UserError(`node '${labelOf(n)}' (${n.opType}) uses '${i}', which nothing produces`, DAMAGED);
      const list = waiting.get(i);
      if (list) list.push(place);
      else waiting.set(i, [place]);
    }
    missing[place] = open.size;
  });
  const out: Node[] = [];
  // In-order files are the rule: walk in file order, and catch up on what becomes ready late.
  let cursor = 0;
  const late: number[] = [];
  const emit = (place: number): void => {
    out.push(nodes[place]);
    for (const o of nodes[place].outputs) {
      if (o === '') continue;
      for (const w of waiting.get(o) ?? []) if (--missing[w] === 0 && w < cursor) late.push(w);
    }
  };
  for (let caughtUp = 0; cursor < nodes.length; cursor++) {
    if (missing[cursor] === 0) emit(cursor);
    while (caughtUp < late.length) emit(late[caughtUp++]);
  }
  if (out.length < nodes.length) {
    const stuck = onCycle(nodes, missing, producer);
    throw new UserError(`the graph has a cycle through node '${labelOf(stuck)}' (${stuck.opType})`, DAMAGED);
  }
  return out;
}

/** A node on a cycle: going back from any node that never became ready, along what it waits for, one comes by some node twice. */
function onCycle(nodes: readonly Node[], missing: Int32Array, producer: ReadonlyMap<string, number>): Node {
  const seen = new Set<number>();
  let place = missing.findIndex((m) => m > 0);
  while (!seen.has(place)) {
    seen.add(place);
    const wanted = [...nodes[place].inputs, ...capturedNames(nodes[place])];
    place = wanted.map((i) => producer.get(i)).find((p) => p !== undefined && missing[p] > 0)!;
  }
  return nodes[place];
}

/** The version of the standard operator set that the model uses. */
export const opsetOf = (m: Model): number => m.opsets.get('') ?? 1;

/** A model with another graph. */
export const withGraph = (m: Model, graph: Partial<Graph>): Model => ({ ...m, graph: { ...m.graph, ...graph } });
