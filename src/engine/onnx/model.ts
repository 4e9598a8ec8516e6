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
  type SparseTensorProto,
  type UnknownFields,
  type ValueInfoProto,
} from './schema';
import { type DataType, type ExternalData, Tensor, tensorFromProto, tensorToProto } from './tensor';

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
      DAMAGED,
    );
  return a;
}

/** What to do about a file that is not what its format asks for. */
export const DAMAGED = 'The file is damaged, or was written by a faulty exporter; export it again.';

/** What messages call a node: its name, else its first output, else its operator. */
export const labelOf = (n: Node): string => n.name || n.outputs.find((o) => o !== '') || n.opType;

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

/** The version of the standard operator set that the model uses. */
export const opsetOf = (m: Model): number => m.opsets.get('') ?? 1;

/** Every value a node reads, those of its subgraphs included. */
export const readsOf = (node: Node): string[] =>
  (hasSubgraph(node) ? [...node.inputs, ...capturedNames(node)] : node.inputs).filter((name) => name !== '');

/** A model with another graph. */
export const withGraph = (m: Model, graph: Partial<Graph>): Model => ({ ...m, graph: { ...m.graph, ...graph } });
