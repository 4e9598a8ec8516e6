/** Finds which channels of a model must be removed together, by walking the graph once (see `ChannelContext` in ops/operator.ts). */
import { attr, capturedNames, hasSubgraph, type Model, type Node, opsetOf } from '../onnx/model';
import { LONGEST_AXIS } from '../ops/channel-axes';
import type { AxisAtoms, ChannelContext, ValueType, WeightRole } from '../ops/operator';
import { findOperator } from '../ops/registry';
import { Atoms } from './atoms';
import { ChannelGroup, type FrozenReason, type ValueMember, type WeightMember } from './channel-group';
import { type Inferred, inferTypes } from './infer';
import { layerNames } from './layer-names';
import { fastWidths } from './widths';

export interface ChannelGroups {
  /** In the order of their first producers. */
  readonly groups: ChannelGroup[];
  /** What is produced by layers but stays whole, with reasons. */
  readonly frozen: FrozenReason[];
}

/** Operators with weights: they do not count as what couples two layers, unless grouped. */
const LAYERS = new Set(['Conv', 'ConvTranspose', 'Gemm', 'MatMul', 'BatchNormalization']);

/** An axis of a weight with its atoms and how layers use it. */
interface WeightAxis {
  readonly tensor: string;
  readonly axis: number;
  readonly atoms: Int32Array;
  readonly uses: Array<{ node: number; role: WeightRole }>;
}

/**
 * The groups of channels that can be pruned, and the reasons why others cannot.
 * Groups are classes of coupled atoms with the same members, so a zero-padded shortcut splits its stream into several groups,
 * a concatenation keeps its producers apart, and a flattened channel has several positions along the next weight's axis.
 */
export function findChannelGroups(model: Model, inferred: Inferred = inferTypes(model)): ChannelGroups {
  return new GroupFinder(model, inferred).find();
}

class GroupFinder {
  private readonly atoms = new Atoms();
  private readonly weights = new Map<string, WeightAxis>();
  /** Atoms by value name, one entry an axis. */
  private readonly values = new Map<string, AxisAtoms[]>();
  /** Reasons in the order in which they came, with one atom list each. */
  private readonly freezes: Array<{ atoms: Int32Array; reason: string }> = [];
  private readonly couplings: Array<{ node: number; atom: number }> = [];
  private readonly names: ReadonlyMap<Node, string>;

  constructor(
    private readonly model: Model,
    private readonly inferred: Inferred,
  ) {
    this.names = layerNames(model);
  }

  find(): ChannelGroups {
    const { graph } = this.model;
    for (const input of graph.inputs) {
      this.values.set(
        input.name,
        this.frozenAxes(this.inferred.types.get(input.name), `is combined with the model input '${input.name}', whose lengths are given`),
      );
    }
    graph.nodes.forEach((_, index) => {
      this.visit(index);
    });
    for (const output of graph.outputs) {
      for (const atoms of this.values.get(output.name) ?? []) this.freeze(atoms, `is the model output '${output.name}'`);
      if (graph.initializers.has(output.name)) this.freezeTensor(output.name, `is the model output '${output.name}'`);
    }
    this.freezeUnasked();
    return this.collect();
  }

  private initializer(name: string) {
    return this.model.graph.initializers.get(name);
  }

  private freeze(atoms: AxisAtoms, reason: string): void {
    if (atoms?.length) this.freezes.push({ atoms, reason });
  }

  private freezeTensor(tensor: string, reason: string): void {
    const rank = this.initializer(tensor)?.dims.length ?? 0;
    for (let axis = 0; axis < rank; axis++) {
      const known = this.weights.get(`${tensor}:${axis}`);
      if (known) this.freeze(known.atoms, reason);
    }
  }

  /** Atoms for every axis but the batch of a value that Espalier cannot see behind; none of them can be pruned. */
  private frozenAxes(type: ValueType | undefined, reason: string): AxisAtoms[] {
    return (type?.shape ?? []).map((length, axis) => {
      if (axis === 0 || typeof length !== 'number' || length > LONGEST_AXIS) return null;
      const atoms = this.atoms.fresh(length);
      this.freeze(atoms, reason);
      return atoms;
    });
  }

  private weightAxis(tensor: string, axis: number): WeightAxis {
    const key = `${tensor}:${axis}`;
    let entry = this.weights.get(key);
    if (!entry) {
      entry = { tensor, axis, atoms: this.atoms.fresh(this.initializer(tensor)!.dims[axis]), uses: [] };
      this.weights.set(key, entry);
    }
    return entry;
  }

  private typesOf(names: readonly string[]): Array<ValueType | undefined> {
    return names.map((name) => (name === '' ? undefined : (this.inferred.types.get(name) ?? { type: 'float32' as const })));
  }

  private where(node: Node): string {
    return `\`${node.opType}\` at node '${this.names.get(node)}'`;
  }

  private visit(index: number): void {
    const node = this.model.graph.nodes[index];
    const operator = findOperator(node.opType, node.domain);
    if (!operator?.channels) {
      const unknown = hasSubgraph(node) ? 'whose inner graphs stay as they are' : 'which Espalier does not know';
      const why = operator ? 'through which channels cannot be followed' : unknown;
      this.freezeInputs(node, `passes ${this.where(node)}, ${why}`);
      for (const output of node.outputs) {
        if (output === '') continue;
        this.values.set(output, this.frozenAxes(this.inferred.types.get(output), `comes from ${this.where(node)}, ${why}`));
      }
      return;
    }
    const inputs = this.typesOf(node.inputs);
    const outputs = this.typesOf(node.outputs).map((t): ValueType => t ?? { type: 'float32' });
    const rankOf = (t: ValueType | undefined): number => t?.shape?.length ?? 0;
    const resolve = (axis: number, rank: number): number => (axis < 0 ? axis + rank : axis);
    const asked = new Set<string>();
    const results = outputs.map((t): AxisAtoms[] => Array.from({ length: rankOf(t) }, () => null));
    const readsValues = node.inputs.filter((name) => this.values.has(name)).length;
    // A product of two values couples as well: queries with keys, attention weights with values.
    const interesting = readsValues > 1 || (LAYERS.has(node.opType) && Number(node.attributes.get('group')?.i ?? 1) > 1);
    const context: ChannelContext = {
      node,
      opset: opsetOf(this.model),
      inputs,
      outputs,
      atoms: (input, axis) => {
        const name = node.inputs[input];
        if (!name) return null;
        const tensor = this.initializer(name);
        if (tensor) {
          const at = resolve(axis, tensor.dims.length);
          if (at < 0 || at >= tensor.dims.length) return null;
          asked.add(`${input}:${at}`);
          const entry = this.weightAxis(name, at);
          // Nodes are visited in order: this one's use, if any, is the last.
          if (entry.uses.at(-1)?.node !== index) entry.uses.push({ node: index, role: 'parameter' });
          return entry.atoms;
        }
        const at = resolve(axis, rankOf(inputs[input]));
        asked.add(`${input}:${at}`);
        return this.values.get(name)?.[at] ?? null;
      },
      setOutput: (output, axis, atoms) => {
        const rank = rankOf(outputs[output]);
        const at = resolve(axis, rank);
        const length = outputs[output]?.shape?.[at];
        if (atoms && typeof length === 'number' && length !== atoms.length)
          throw new Error(`${this.where(node)}: ${atoms.length} atoms for axis ${at} of output ${output}, which has length ${length}`);
        if (results[output]) results[output][at] = atoms;
      },
      couple: (a, b) => {
        if (a.length !== b.length) throw new Error(`${this.where(node)} couples ${a.length} with ${b.length} channels`);
        for (let i = 0; i < a.length; i++)
          if (this.atoms.union(a[i], b[i]) && interesting) this.couplings.push({ node: index, atom: a[i] });
      },
      fresh: (count) => this.atoms.fresh(count),
      freeze: (atoms, reason) => this.freeze(atoms, reason),
      role: (input, axis, role) => {
        const name = node.inputs[input];
        const tensor = this.initializer(name);
        if (!tensor) return;
        const entry = this.weightAxis(name, resolve(axis, tensor.dims.length));
        asked.add(`${input}:${entry.axis}`);
        const use = entry.uses.at(-1);
        if (use?.node === index) use.role = role;
        else entry.uses.push({ node: index, role });
      },
    };
    // Behind an operator that is not known shapes are not known either: better to name it than what trips over it.
    const [culprit] = this.inferred.unknownOperators;
    if (culprit && inputs.some((t, i) => t && !t.shape && !this.initializer(node.inputs[i])))
      this.freezeInputs(node, `passes ${this.where(node)}, where shapes are not known because of ${this.where(culprit.node)} before it`);
    operator.channels(context);
    // What the operator did not look at it cannot have carried on: such channels stay. `Shape` alone only looks from outside.
    if (node.opType !== 'Shape') {
      node.inputs.forEach((name, input) => {
        for (const [axis, atoms] of (this.values.get(name) ?? []).entries())
          if (atoms && !asked.has(`${input}:${axis}`))
            this.freeze(atoms, `passes ${this.where(node)}, through which axis ${axis} cannot be followed`);
      });
    }
    node.outputs.forEach((name, output) => {
      if (name !== '') this.values.set(name, results[output]);
    });
  }

  private freezeInputs(node: Node, reason: string): void {
    for (const name of hasSubgraph(node) ? [...node.inputs, ...capturedNames(node)] : node.inputs)
      for (const atoms of this.values.get(name) ?? []) this.freeze(atoms, reason);
  }

  /** A weight may be used by a node that did not ask for its channels; cutting it would break that node. */
  private freezeUnasked(): void {
    const { nodes } = this.model.graph;
    const axesOf = new Map<string, Array<{ atoms: Int32Array; askedBy: ReadonlySet<number> }>>();
    for (const { tensor, atoms, uses } of this.weights.values()) {
      const list = axesOf.get(tensor) ?? [];
      list.push({ atoms, askedBy: new Set(uses.map((u) => u.node)) });
      axesOf.set(tensor, list);
    }
    nodes.forEach((node, index) => {
      for (const name of new Set(hasSubgraph(node) ? [...node.inputs, ...capturedNames(node)] : node.inputs)) {
        for (const entry of axesOf.get(name) ?? []) {
          if (!entry.askedBy.has(index))
            this.freeze(entry.atoms, `shares weight '${name}' with ${this.where(node)}, through which channels cannot be followed`);
        }
      }
    });
  }

  private collect(): ChannelGroups {
    const reasonOf = new Map<number, string>();
    for (const { atoms, reason } of this.freezes)
      for (const a of atoms) {
        const root = this.atoms.find(a);
        if (!reasonOf.has(root)) reasonOf.set(root, reason);
      }
    const axes = [...this.weights.values()].filter((w) => w.uses.length > 0);
    const channels = this.classes(axes, reasonOf);
    const bySignature = new Map<string, Class[]>();
    const frozen = new Map<string, { layers: string[]; channels: number; reason: string }>();
    for (const c of channels) {
      if (c.reason === undefined) {
        // How often counts too, so that every channel of a group costs the same.
        const members = [...c.weights, ...c.values].map(([member, positions]) => `${member}×${positions.length}`);
        const signature = members.join(',');
        const alike = bySignature.get(signature);
        if (alike) alike.push(c);
        else bySignature.set(signature, [c]);
      } else {
        const layers = this.layersOf(c, axes);
        const key = `${layers.join('\n')}\n${c.reason}`;
        const entry = frozen.get(key);
        if (entry) entry.channels++;
        else frozen.set(key, { layers, channels: 1, reason: c.reason });
      }
    }
    const taken = new Map<string, number>();
    const identify = (base: string): string => {
      const n = (taken.get(base) ?? 0) + 1;
      taken.set(base, n);
      return n === 1 ? base : `${base}#${n}`;
    };
    const couplingsOf = new Map<number, Set<number>>();
    for (const { node, atom } of this.couplings) {
      const root = this.atoms.find(atom);
      const set = couplingsOf.get(root);
      if (set) set.add(node);
      else couplingsOf.set(root, new Set([node]));
    }
    const groups = [...bySignature.values()].map((classes) => this.group(classes, axes, identify, couplingsOf));
    const frozenList = [...frozen.values()].map((f) => ({ id: identify(f.layers[0]), ...f }));
    return { groups, frozen: frozenList };
  }

  /** All classes that some layer produces, in the order of their first positions along their first producer. */
  private classes(axes: readonly WeightAxis[], reasonOf: ReadonlyMap<number, string>): Class[] {
    const byRoot = new Map<number, Class>();
    const ordered = axes
      .map((w, index) => ({ w, index, first: Math.min(...w.uses.filter((u) => u.role === 'producer').map((u) => u.node)) }))
      .filter(({ first }) => Number.isFinite(first))
      .sort((x, y) => x.first - y.first);
    for (const { w } of ordered) {
      for (const a of w.atoms) {
        const root = this.atoms.find(a);
        if (!byRoot.has(root)) byRoot.set(root, { root, reason: reasonOf.get(root), weights: new Map(), values: new Map() });
      }
    }
    const note = (map: Map<number | string, number[]>, key: number | string, position: number): void => {
      const list = map.get(key);
      if (list) list.push(position);
      else map.set(key, [position]);
    };
    axes.forEach((w, index) => {
      w.atoms.forEach((a, position) => {
        const c = byRoot.get(this.atoms.find(a));
        if (c) note(c.weights as Map<number | string, number[]>, index, position);
      });
    });
    for (const [value, list] of this.values) {
      list.forEach((atoms, axis) => {
        atoms?.forEach((a, position) => {
          const c = byRoot.get(this.atoms.find(a));
          if (c) note(c.values as Map<number | string, number[]>, `${axis}:${value}`, position);
        });
      });
    }
    return [...byRoot.values()];
  }

  private layersOf(c: Class, axes: readonly WeightAxis[]): string[] {
    const nodes = [...c.weights.keys()].flatMap((i) => axes[i].uses.filter((u) => u.role === 'producer').map((u) => u.node));
    return [...new Set(nodes)].sort((a, b) => a - b).map((n) => this.names.get(this.model.graph.nodes[n])!);
  }

  /** True where nothing but convolutions that are not grouped, and what normalises, makes and reads the channels. */
  private onlyConvolutions(classes: readonly Class[], axes: readonly WeightAxis[]): boolean {
    const { nodes } = this.model.graph;
    const fits = (node: Node): boolean =>
      node.opType === 'BatchNormalization' || (node.opType === 'Conv' && attr.int(node, 'group', 1) === 1);
    return [...classes[0].weights.keys()].every(
      (index) => axes[index].atoms.length === classes.length && axes[index].uses.every((use) => fits(nodes[use.node])),
    );
  }

  private group(
    classes: readonly Class[],
    axes: readonly WeightAxis[],
    identify: (base: string) => string,
    couplingsOf: ReadonlyMap<number, ReadonlySet<number>>,
  ): ChannelGroup {
    const { nodes } = this.model.graph;
    const nameOf = (node: number): string => this.names.get(nodes[node])!;
    const parts = new Map<string, number>();
    const note = (node: number, text: string): void => {
      if (!parts.has(text)) parts.set(text, node);
    };
    const members: Array<WeightMember & { first: number }> = [];
    for (const index of classes[0].weights.keys()) {
      const w = axes[index];
      const positions = classes.map((c) => c.weights.get(index)!);
      for (const role of new Set(w.uses.map((u) => u.role))) {
        const used = w.uses.filter((u) => u.role === role).map((u) => u.node);
        members.push({
          layers: used.map(nameOf),
          tensor: w.tensor,
          axis: w.axis,
          length: w.atoms.length,
          role,
          positions,
          first: Math.min(...used),
        });
      }
    }
    for (const m of [...members].sort((a, b) => a.first - b.first))
      if (m.role !== 'parameter') for (const layer of m.layers) note(m.first, `${layer} ${m.role === 'producer' ? 'out' : 'in'}`);
    const layersNamed = new Set(members.filter((m) => m.role !== 'parameter').flatMap((m) => m.layers));
    for (const m of members) if (m.role === 'parameter') for (const layer of m.layers) if (!layersNamed.has(layer)) note(m.first, layer);
    const coupled = [...new Set(classes.flatMap((c) => [...(couplingsOf.get(c.root) ?? [])]))].sort((a, b) => a - b);
    for (const node of coupled) note(node, nameOf(node));
    const values = [...classes[0].values.keys()].map((key): ValueMember => {
      const colon = key.indexOf(':');
      const value = key.slice(colon + 1);
      const axis = Number(key.slice(0, colon));
      return { value, axis, length: this.values.get(value)![axis]!.length, positions: classes.map((c) => c.values.get(key)!) };
    });
    const plain = (role: WeightRole): WeightMember[] =>
      members
        .filter((m) => m.role === role)
        .sort((a, b) => a.first - b.first)
        .map(({ first: _, ...m }) => m);
    const producers = plain('producer');
    return new ChannelGroup({
      id: identify(producers[0].layers[0]),
      channels: classes.length,
      producers,
      consumers: plain('consumer'),
      parameters: plain('parameter'),
      values,
      widths: fastWidths(classes.length, this.onlyConvolutions(classes, axes)),
      parts: [...parts].sort((a, b) => a[1] - b[1]).map(([text]) => text),
      couplings: coupled.map((n) => `${nodes[n].opType} '${nameOf(n)}'`),
    });
  }
}

/** One class of coupled atoms: its positions by weight axis and by value axis ('axis:value'). */
interface Class {
  readonly root: number;
  readonly reason: string | undefined;
  readonly weights: Map<number, number[]>;
  readonly values: Map<string, number[]>;
}
