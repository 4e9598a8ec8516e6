/** A model from the messages of its file, and back: what is not understood is kept as it was. */
import { UserError } from '../errors';
import { DAMAGED, type Dim, type Model, type Node, type ValueInfo } from './model';
import { sortNodes } from './node-order';
import type { GraphProto, Int64, ModelProto, NodeProto, TensorProto, ValueInfoProto } from './schema';
import { dataTypeCode, dataTypeOf, type ExternalData, type Tensor, tensorFromProto, tensorToProto } from './tensor';

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

/** Tensors that keep their data in other files: the graph's own, and those in attributes and subgraphs of its nodes. */
export function externalTensors({ initializer, node }: GraphProto): TensorProto[] {
  const attributes = node.flatMap((n) => n.attribute);
  const tensors = [...initializer, ...attributes.flatMap((a) => (a.t ? [a.t, ...a.tensors] : a.tensors))];
  const graphs = attributes.flatMap((a) => (a.g ? [a.g, ...a.graphs] : a.graphs));
  return [...tensors.filter((t) => t.dataLocation === 1), ...graphs.flatMap(externalTensors)];
}

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
