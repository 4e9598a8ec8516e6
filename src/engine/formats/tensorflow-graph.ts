/** Nodes, attributes and constants of TensorFlow's protobuf messages, as `graphdef.ts` has them. */
import { UserError } from '../errors';
import { elementCount } from '../onnx/tensor';
import { type AttributeOfGraph, DAMAGED_GRAPH, type GraphNode, type GraphTensor } from './graphdef';
import type { AttributeDef, NodeDef, TensorDef, TensorShapeDef } from './tensorflow-schema';

/** Names of the enumeration DataType that occur here (tensorflow/core/framework/types.proto). */
const TYPE_NAMES: Readonly<Record<number, string>> = {
  1: 'DT_FLOAT',
  2: 'DT_DOUBLE',
  3: 'DT_INT32',
  4: 'DT_UINT8',
  6: 'DT_INT8',
  7: 'DT_STRING',
  9: 'DT_INT64',
  10: 'DT_BOOL',
  14: 'DT_BFLOAT16',
  19: 'DT_HALF',
  20: 'DT_RESOURCE',
};
export const typeName = (type: number): string => TYPE_NAMES[type] ?? `DT_${type}`;

/** More elements than these would not fit into memory. */
const MOST_ELEMENTS = 2 ** 28;

/** Lengths, −1 where open; null where their number is open. */
export function shapeOfDef(shape: TensorShapeDef | undefined): number[] | null {
  if (shape?.unknownRank) return null;
  return (shape?.dim ?? []).map((d) => Number(d.size ?? 0));
}

/** @throws UserError naming the node whose constant is damaged */
export function tensorOfDef(tensor: TensorDef, name: string): GraphTensor {
  const type = typeName(tensor.dtype ?? 0);
  const dims = shapeOfDef(tensor.shape) ?? [];
  const size = elementCount(dims);
  if (dims.some((d) => d < 0) || !(size <= MOST_ELEMENTS))
    throw new UserError(`the constant of node '${name}' has the shape [${dims.join(', ')}]`, DAMAGED_GRAPH);
  const { content } = tensor;
  if (content && content.byteLength > 0) {
    // A copy, since values need not be aligned in the file.
    const { buffer, byteLength } = new Uint8Array(content);
    const width = { DT_FLOAT: 4, DT_INT32: 4, DT_INT64: 8, DT_BOOL: 1 }[type];
    if (width === undefined) return { type, dims };
    if (byteLength !== size * width)
      throw new UserError(`the constant of node '${name}' holds ${byteLength} bytes for the shape [${dims.join(', ')}]`, DAMAGED_GRAPH);
    if (type === 'DT_FLOAT') return { type, dims, values: new Float32Array(buffer) };
    const numbers = type === 'DT_INT32' ? new Int32Array(buffer) : type === 'DT_BOOL' ? new Uint8Array(buffer) : new BigInt64Array(buffer);
    return { type, dims, values: Float32Array.from(numbers as Iterable<number | bigint>, Number) };
  }
  const given = { DT_FLOAT: tensor.floats, DT_INT32: tensor.ints, DT_INT64: tensor.int64s, DT_BOOL: tensor.bools }[type];
  if (!given && !['DT_FLOAT', 'DT_INT32', 'DT_INT64', 'DT_BOOL'].includes(type)) return { type, dims };
  const listed = Float32Array.from((given ?? []) as Iterable<number | bigint>, Number);
  // The last value stands for all that are not written; without any, zeros.
  const values = new Float32Array(size).fill(listed.at(-1) ?? 0);
  values.set(listed.subarray(0, size));
  return { type, dims, values };
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('latin1');

function attributeOf({ s, i, f, b, type, shape, tensor, list }: AttributeDef, name: string): AttributeOfGraph {
  return {
    ...(s && { s: text(s) }),
    ...(i !== undefined && { i: Number(i) }),
    ...(f !== undefined && { f }),
    ...(b !== undefined && { b: b !== 0 }),
    ...(type !== undefined && { type: typeName(type) }),
    ...(shape && { shape: shapeOfDef(shape) }),
    ...(tensor && { tensor: tensorOfDef(tensor, name) }),
    ...(list && { strings: list.s.map(text), ints: list.i?.map(Number) }),
  };
}

/** A node under another name, reading other values. */
export const graphNode = (def: NodeDef, name: string, inputs: readonly string[]): GraphNode => ({
  name,
  op: def.op ?? '',
  inputs,
  attributes: new Map(def.attributes.map(({ key = '', value }) => [key, attributeOf(value ?? NOTHING, name)])),
});

const NOTHING: AttributeDef = {};
