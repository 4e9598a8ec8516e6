/** Builds ONNX graphs node by node, keeping track of shapes; training graphs, probes and test networks are made with it. */
import { type AttributeValue, type Dim, type Model, makeNode, type Node, type ValueInfo } from '../onnx/model';
import { type DataType, Tensor } from '../onnx/tensor';
import type { ValueType } from './operator';
import { findOperator } from './registry';

/** A value of the graph under construction; its shape is fully known. */
export interface Value {
  readonly name: string;
  readonly type: DataType;
  readonly shape: readonly number[];
}

export interface OpOptions {
  readonly domain?: string;
  /** Name of the first output (and of the node); generated where absent. */
  readonly name?: string;
  /** How many outputs the node has; 1 where absent. */
  readonly outputs?: number;
  /** Output types, for operators that the registry does not know. */
  readonly types?: ReadonlyArray<{ type?: DataType; shape: readonly number[] }>;
}

/** The oldest operator set with every form the builder emits, and one that every onnxruntime since 1.12 runs. */
const BUILDER_OPSET = 17;

export class GraphBuilder {
  private readonly nodes: Node[] = [];
  private readonly initializers = new Map<string, Tensor>();
  private readonly inputs: ValueInfo[] = [];
  private readonly outputs: ValueInfo[] = [];
  private readonly shared = new Map<string, Value>();
  /** Constant values that follow from shapes, by value name. */
  private readonly known = new Map<string, Tensor>();
  private readonly taken = new Set<string>();
  private counter = 0;

  constructor(readonly opset: number = BUILDER_OPSET) {}

  /** A graph input. A symbolic batch is written to the file, and counts as `batch` (default 1) for the shapes of what follows. */
  input(name: string, shape: readonly Dim[], type: DataType = 'float32', batch = 1): Value {
    this.claim(name);
    this.inputs.push({ name, type, shape });
    return { name, type, shape: shape.map((d) => (typeof d === 'number' ? d : batch)) };
  }

  /** An initializer under its own name. */
  constant(tensor: Tensor): Value {
    this.claim(tensor.name);
    this.initializers.set(tensor.name, tensor);
    return { name: tensor.name, type: tensor.type, shape: tensor.dims };
  }

  /** A float32 initializer. */
  floats(name: string, shape: readonly number[], data: Float32Array): Value {
    return this.constant(Tensor.float32(name, shape, data));
  }

  /** A one-dimensional int64 constant (axes, shapes, pads); equal ones are made once. */
  ints(values: readonly number[]): Value {
    return this.once(`i:${values.join(',')}`, (name) => Tensor.ints(name, values));
  }

  /** A float32 scalar constant; equal ones are made once. */
  scalar(value: number): Value {
    return this.once(`f:${value}`, (name) => Tensor.scalar(name, value));
  }

  /** The constant that a value holds, where it is an initializer or follows from shapes. */
  constantOf(value: Value): Tensor | undefined {
    return this.initializers.get(value.name) ?? this.known.get(value.name);
  }

  private once(key: string, make: (name: string) => Tensor): Value {
    let value = this.shared.get(key);
    if (!value) {
      value = this.constant(make(this.fresh('const')));
      this.shared.set(key, value);
    }
    return value;
  }

  /** Adds a node and returns its first output. @throws where the shape of the output cannot be told */
  op(
    opType: string,
    inputs: ReadonlyArray<Value | undefined>,
    attributes: Record<string, AttributeValue | undefined> = {},
    options: OpOptions = {},
  ): Value {
    return this.ops(opType, inputs, attributes, options)[0];
  }

  /** Adds a node and returns all its outputs. */
  ops(
    opType: string,
    inputs: ReadonlyArray<Value | undefined>,
    attributes: Record<string, AttributeValue | undefined> = {},
    options: OpOptions = {},
  ): Value[] {
    const count = options.outputs ?? options.types?.length ?? 1;
    const names = Array.from({ length: count }, (_, i) => (i === 0 && options.name ? options.name : this.fresh(opType)));
    if (options.name) this.claim(options.name);
    const node = makeNode(
      opType,
      inputs.map((v) => v?.name ?? ''),
      names,
      attributes,
      { domain: options.domain },
    );
    const types: readonly ValueType[] =
      options.types?.map((t) => ({ type: t.type ?? inputs[0]!.type, shape: t.shape })) ?? this.inferred(node, inputs);
    this.nodes.push(node);
    this.remember(names, types);
    return names.map((name, i) => {
      const { type, shape } = types[i] ?? {};
      if (!type || !shape || shape.some((d) => typeof d !== 'number'))
        throw new Error(`${opType} '${name}': output ${i} has no static shape`);
      return { name, type, shape: shape as readonly number[] };
    });
  }

  private inferred(node: Node, inputs: ReadonlyArray<Value | undefined>): ValueType[] {
    const operator = findOperator(node.opType, node.domain);
    if (!operator) throw new Error(`${node.opType} is not a registered operator; state its output types`);
    return operator.infer({
      node,
      opset: this.opset,
      inputs: inputs.map((v) => v && { type: v.type, shape: v.shape, value: this.constantOf(v) }),
    });
  }

  /** Adds an existing node as it is, under the names it has (outputs must not be taken). */
  adopt(node: Node, types: readonly ValueType[]): Value[] {
    for (const o of node.outputs) if (o !== '') this.claim(o);
    this.nodes.push(node);
    this.remember(node.outputs, types);
    return node.outputs.map((name, i) => ({ name, type: types[i].type, shape: types[i].shape as readonly number[] }));
  }

  private remember(names: readonly string[], types: readonly ValueType[]): void {
    for (const [i, name] of names.entries()) {
      const value = types[i]?.value;
      if (value) this.known.set(name, value);
    }
  }

  /** Makes a value a graph output under the given name (an Identity node where the names differ). */
  output(value: Value, name: string = value.name, shape: readonly Dim[] = value.shape): void {
    const named = value.name === name ? value : this.op('Identity', [value], {}, { name, types: [value] });
    this.outputs.push({ name: named.name, type: value.type, shape });
  }

  /** Keeps names from being generated: those of a model whose nodes will be adopted. */
  reserve(names: Iterable<string>): void {
    for (const name of names) this.taken.add(name);
  }

  /** A name not used yet. */
  fresh(prefix: string): string {
    let name: string;
    do name = `${prefix}_${this.counter++}`;
    while (this.taken.has(name));
    this.taken.add(name);
    return name;
  }

  private claim(name: string): void {
    if (
      this.taken.has(name) &&
      (this.initializers.has(name) || this.inputs.some((i) => i.name === name) || this.nodes.some((n) => n.outputs.includes(name)))
    ) {
      throw new Error(`the name '${name}' is used twice`);
    }
    this.taken.add(name);
  }

  /** The finished model. `domains` adds operator sets beside the standard one. */
  build(name = 'graph', domains: ReadonlyArray<readonly [string, number]> = [['com.microsoft', 1]]): Model {
    const used = new Set(this.nodes.map((n) => n.domain));
    return {
      graph: { name, nodes: this.nodes, inputs: this.inputs, outputs: this.outputs, initializers: this.initializers },
      opsets: new Map([['', this.opset] as const, ...domains.filter(([d]) => used.has(d))]),
      irVersion: 8,
      metadata: new Map(),
      header: { producerName: 'espalier' },
    };
  }
}
