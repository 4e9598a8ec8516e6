/**
 * TensorFlow graphs (GraphDef): nodes with operators, inputs by name and attributes, however they were written: as JSON in a
 * TensorFlow.js graph model, or as a protobuf message in a frozen graph.
 */
import { z } from 'zod';
import { UserError } from '../errors';
import type { JsonObject } from './keras-topology';
import type { Weight } from './weights';

/** A constant in a graph. Whole numbers and truth values are kept as floats too: all that occur as lengths and axes are exact. */
export interface GraphTensor {
  readonly type: string;
  readonly dims: readonly number[];
  /** Absent where the values lie elsewhere (TensorFlow.js keeps them with the weights). */
  readonly values?: Float32Array;
}

export interface AttributeOfGraph {
  readonly s?: string;
  readonly i?: number;
  readonly f?: number;
  readonly b?: boolean;
  /** 'DT_FLOAT' and the like. */
  readonly type?: string;
  /** Lengths, −1 where open; null where even their number is. */
  readonly shape?: readonly number[] | null;
  readonly tensor?: GraphTensor;
  readonly strings?: readonly string[];
  readonly ints?: readonly number[];
}

export interface GraphNode {
  readonly name: string;
  readonly op: string;
  /** Names of nodes, with ':k' for output k; those that only order execution ('^name') are left out. */
  readonly inputs: readonly string[];
  readonly attributes: ReadonlyMap<string, AttributeOfGraph>;
}

export interface TensorFlowGraph {
  readonly nodes: readonly GraphNode[];
  /** Values that callers feed and get, in order; absent where the file does not say. */
  readonly inputs?: readonly string[];
  readonly outputs?: readonly string[];
  readonly weights: ReadonlyMap<string, Weight>;
}

export const DAMAGED_GRAPH = 'The file is damaged, or of a version that is not known; convert the model again.';

/** True for a TensorFlow.js `model.json` that holds a graph rather than layers. */
export const isGraphModel = (json: JsonObject): boolean => {
  const { modelTopology: topology, format } = json;
  return format === 'graph-model' || (typeof topology === 'object' && topology !== null && 'node' in topology);
};

/** JSON writes 64-bit numbers as text. */
const whole = z.union([z.number(), z.string()]).transform(Number).pipe(z.number().int());
const real = z.union([z.number(), z.enum(['NaN', 'Infinity', '-Infinity'])]).transform(Number);
/** Bytes, in base 64. */
const text = z.string().transform((s) => Buffer.from(s, 'base64').toString('latin1'));
const shape = z.object({
  unknownRank: z.boolean().optional(),
  dim: z.array(z.object({ size: whole.optional() })).optional(),
});
const dims = (s: z.infer<typeof shape> | undefined): number[] | null => (s?.unknownRank ? null : (s?.dim ?? []).map((d) => d.size ?? 0));

const attribute = z
  .object({
    s: text.optional(),
    i: whole.optional(),
    f: real.optional(),
    b: z.boolean().optional(),
    type: z.union([z.string(), z.number()]).optional(),
    shape: shape.optional(),
    tensor: z.object({ dtype: z.union([z.string(), z.number()]).optional(), tensorShape: shape.optional() }).optional(),
    list: z
      .object({ s: z.array(text).optional(), i: z.array(whole).optional() })
      .nullable()
      .optional(),
  })
  .transform(
    ({ type, shape: lengths, tensor, list, ...plain }): AttributeOfGraph => ({
      ...plain,
      type: type === undefined ? undefined : String(type),
      shape: lengths && dims(lengths),
      tensor: tensor && { type: String(tensor.dtype ?? ''), dims: dims(tensor.tensorShape) ?? [] },
      strings: list?.s,
      ints: list?.i,
    }),
  );

const graph = z.object({
  node: z.array(
    z.object({
      name: z.string(),
      op: z.string(),
      input: z.array(z.string()).optional(),
      attr: z.record(z.string(), attribute).optional(),
    }),
  ),
  library: z.object({ function: z.array(z.unknown()).optional() }).nullish(),
});

const ends = z.record(z.string(), z.object({ name: z.string().optional() }).optional());
const signature = z.object({ inputs: ends.optional(), outputs: ends.optional() });

/** The graph of a `model.json`. @throws UserError where it is none */
export function graphFromJson(json: JsonObject, weights: ReadonlyMap<string, Weight>): TensorFlowGraph {
  const parsed = graph.safeParse(json['modelTopology']);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new UserError(`the graph's entry ${issue.path.join('.')} is wrong: ${issue.message}`, DAMAGED_GRAPH);
  }
  const { userDefinedMetadata: metadata } = json;
  const stated = signature.safeParse(json['signature'] ?? (metadata as JsonObject | undefined)?.['signature']);
  const names = (e: z.infer<typeof ends> | undefined): string[] | undefined => {
    const found = Object.entries(e ?? {}).map(([key, v]) => v?.name ?? key);
    return found.length > 0 ? found : undefined;
  };
  return {
    nodes: parsed.data.node.map(({ name, op, input, attr }) => ({
      name,
      op,
      inputs: (input ?? []).filter((i) => !i.startsWith('^')),
      attributes: new Map(Object.entries(attr ?? {})),
    })),
    inputs: stated.success ? names(stated.data.inputs) : undefined,
    outputs: stated.success ? names(stated.data.outputs) : undefined,
    weights,
  };
}

/** 'name:2' and 'name' (which is output 0) taken apart. */
export function referenceOf(input: string): { node: string; output: number } {
  const at = input.lastIndexOf(':');
  const output = at > 0 ? Number(input.slice(at + 1)) : 0;
  return at > 0 && Number.isInteger(output) && output >= 0 ? { node: input.slice(0, at), output } : { node: input, output: 0 };
}

/** Nodes that the outputs need, in an order in which each comes after what it reads. @throws UserError naming what is missing, or a cycle */
export function inOrder(nodes: ReadonlyMap<string, GraphNode>, outputs: readonly string[]): GraphNode[] {
  const done = new Set<string>();
  const open = new Set<string>();
  const order: GraphNode[] = [];
  const stack = outputs.map((o) => ({ name: referenceOf(o).node, reader: 'an output of the model', leave: false }));
  for (let step = stack.pop(); step; step = stack.pop()) {
    const { name, reader } = step;
    if (step.leave) {
      open.delete(name);
      done.add(name);
      order.push(nodes.get(name)!);
      continue;
    }
    if (done.has(name)) continue;
    const node = nodes.get(name);
    if (!node) throw new UserError(`'${name}', which ${reader} needs, is not in the graph`, DAMAGED_GRAPH);
    if (open.has(name))
      throw new UserError(`the graph has a cycle through '${name}' (${node.op})`, 'Loops are not read; convert a model without them.');
    open.add(name);
    stack.push({ ...step, leave: true });
    for (const input of node.inputs.toReversed()) {
      const wanted = referenceOf(input).node;
      if (!done.has(wanted)) stack.push({ name: wanted, reader: `'${name}' (${node.op})`, leave: false });
    }
  }
  return order;
}
