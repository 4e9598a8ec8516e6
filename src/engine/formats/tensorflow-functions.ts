/**
 * Calls of functions in a TensorFlow graph put in place: the nodes of a function's body take the place of the call, so that what is left reads values of nodes
 * only. Values are named in two ways: in the graph 'node:k', in a function's body 'node:output name:k', and arguments by their name alone.
 */
import { UserError } from '../errors';
import { DAMAGED_GRAPH, type GraphNode, referenceOf } from './graphdef';
import { graphNode } from './tensorflow-graph';
import type { FunctionDef, GraphDef, NodeDef } from './tensorflow-schema';

/** Functions that call each other deeper than this, or more nodes than these, are taken for damage. */
const MOST_DEPTH = 64;
const MOST_NODES = 500_000;
/** Steps from a value to what gives it; more only where they go round in a circle. */
const MOST_STEPS = 10_000;

const CALLS = new Set(['PartitionedCall', 'StatefulPartitionedCall']);

/** Output names of operators that have several, in order. Others have one, or a list under one name. */
const OUTPUTS: Readonly<Record<string, readonly string[]>> = {
  FusedBatchNorm: ['y', 'batch_mean', 'batch_variance', 'reserve_space_1', 'reserve_space_2'],
  FusedBatchNormV2: ['y', 'batch_mean', 'batch_variance', 'reserve_space_1', 'reserve_space_2'],
  FusedBatchNormV3: ['y', 'batch_mean', 'batch_variance', 'reserve_space_1', 'reserve_space_2', 'reserve_space_3'],
  TopKV2: ['values', 'indices'],
  MaxPoolWithArgmax: ['output', 'argmax'],
};

/** A node with what the file says of it. */
export interface FlatNode extends GraphNode {
  readonly def: NodeDef;
}

/** The graph itself, or one call of a function. */
interface Scope {
  readonly body?: FunctionDef;
  /** Where the call stands. */
  readonly outer?: Scope;
  readonly call?: NodeDef;
  readonly nodes: ReadonlyMap<string, NodeDef>;
  /** The name that each node gets outside. */
  readonly names: Map<string, string>;
  readonly calls: Map<string, Scope>;
}

export class FunctionInliner {
  private readonly library: ReadonlyMap<string, FunctionDef>;
  private readonly root: Scope;
  private readonly taken = new Set<string>();
  private count = 0;

  constructor(graph: GraphDef) {
    this.library = new Map((graph.library?.functions ?? []).map((f) => [f.signature?.name ?? '', f]));
    this.root = { nodes: byName(graph.nodes), names: new Map(), calls: new Map() };
    for (const name of this.root.nodes.keys()) {
      this.taken.add(name);
      this.root.names.set(name, name);
    }
  }

  /** The nodes that these values need (and those of the calls among them, whether needed or not), functions put in place. @param values 'node:k' */
  nodesFor(values: readonly string[]): FlatNode[] {
    const wanted = new Set<string>();
    const stack = values.map((v) => referenceOf(v).node);
    const flat: FlatNode[] = [];
    for (let name = stack.pop(); name !== undefined; name = stack.pop()) {
      const node = this.root.nodes.get(name);
      if (!node || wanted.has(name)) continue;
      wanted.add(name);
      // What only has to be done before is needed too where the value is not what counts: 'restore all' waits for what assigns.
      for (const input of node.input) stack.push(referenceOf(input.replace(/^\^/, '')).node);
      const body = this.calledBy(node);
      if (!body) flat.push(this.flat(node, this.root));
      else if (!this.root.calls.has(name)) this.enter(node, body, this.root, 1);
      const scope = this.root.calls.get(name);
      if (scope) this.collect(scope, flat);
    }
    return flat;
  }

  /** 'node:k' of the graph as it is after calls were put in place. */
  resolve(value: string): string {
    return this.trace(this.root, value);
  }

  private calledBy(node: NodeDef): FunctionDef | undefined {
    if (!CALLS.has(node.op ?? '')) return this.library.get(node.op ?? '');
    const name = node.attributes.find((a) => a.key === 'f')?.value?.function?.name ?? '';
    const body = this.library.get(name);
    if (!body) throw new UserError(`node '${node.name}' calls the function '${name}', which is not in the file`, DAMAGED_GRAPH);
    return body;
  }

  private enter(call: NodeDef, body: FunctionDef, outer: Scope, depth: number): void {
    if (depth > MOST_DEPTH) throw new UserError(`functions call each other more than ${MOST_DEPTH} deep`, DAMAGED_GRAPH);
    this.count += body.nodes.length;
    if (this.count > MOST_NODES) throw new UserError(`the functions hold more than ${MOST_NODES} nodes`, DAMAGED_GRAPH);
    const scope: Scope = { body, outer, call, nodes: byName(body.nodes), names: new Map(), calls: new Map() };
    outer.calls.set(call.name ?? '', scope);
    for (const node of scope.nodes.values()) {
      const inner = this.calledBy(node);
      if (inner) this.enter(node, inner, scope, depth + 1);
      else scope.names.set(node.name ?? '', this.free(node.name ?? '', call.name ?? ''));
    }
  }

  /** The name within the function where it is free, else with the call's before it. */
  private free(name: string, call: string): string {
    let found = this.taken.has(name) ? `${call}/${name}` : name;
    for (let i = 2; this.taken.has(found); i++) found = `${call}/${name}_${i}`;
    this.taken.add(found);
    return found;
  }

  private collect(scope: Scope, into: FlatNode[]): void {
    for (const node of scope.nodes.values()) {
      const inner = scope.calls.get(node.name ?? '');
      if (inner) this.collect(inner, into);
      else into.push(this.flat(node, scope));
    }
  }

  private flat(def: NodeDef, scope: Scope): FlatNode {
    const inputs = def.input.filter((i) => !i.startsWith('^')).map((i) => this.trace(scope, i));
    return { ...graphNode(def, scope.names.get(def.name ?? '')!, inputs), def };
  }

  /** What gives a value that is named within a scope, as 'node:k'. */
  private trace(start: Scope, name: string): string {
    let [scope, value] = [start, name];
    for (let step = 0; step < MOST_STEPS; step++) {
      const argument = scope.body?.signature?.inputs.findIndex((a) => a.name === value) ?? -1;
      if (argument >= 0) {
        const given = scope.call!.input.filter((i) => !i.startsWith('^'))[argument];
        if (given === undefined) throw new UserError(`the call '${scope.call!.name}' lacks the argument '${value}'`, DAMAGED_GRAPH);
        value = given;
        scope = scope.outer!;
        continue;
      }
      const { node, output } = this.reference(scope, value);
      const inner = scope.calls.get(node);
      if (!inner) {
        const outside = scope.names.get(node);
        if (outside === undefined) throw new UserError(`'${node}', which is read, is not in the graph`, DAMAGED_GRAPH);
        return output === 0 ? outside : `${outside}:${output}`;
      }
      const result = inner.body!.signature?.outputs[output]?.name;
      const found = inner.body!.results.find((r) => r.key === result)?.value;
      if (found === undefined) throw new UserError(`output ${output} of the call '${node}' does not exist`, DAMAGED_GRAPH);
      value = found;
      scope = inner;
    }
    throw new UserError(`the value '${name}' depends on itself`, DAMAGED_GRAPH);
  }

  /** A name within a scope taken apart. */
  private reference(scope: Scope, value: string): { node: string; output: number } {
    if (!scope.body) return referenceOf(value);
    const [node, name, index = '0'] = value.split(':');
    if (name === undefined) return { node, output: 0 };
    const op = scope.nodes.get(node)?.op ?? '';
    const names = OUTPUTS[op] ?? this.library.get(op)?.signature?.outputs.map((o) => o.name);
    const first = names?.indexOf(name) ?? 0;
    if (first < 0) throw new UserError(`'${node}' (${op}) has no output '${name}'`, DAMAGED_GRAPH);
    return { node, output: first + Number(index) };
  }
}

function byName(nodes: readonly NodeDef[]): Map<string, NodeDef> {
  const found = new Map<string, NodeDef>();
  for (const node of nodes) {
    if (found.has(node.name ?? '')) throw new UserError(`two nodes are named '${node.name}'`, DAMAGED_GRAPH);
    found.set(node.name ?? '', node);
  }
  return found;
}
