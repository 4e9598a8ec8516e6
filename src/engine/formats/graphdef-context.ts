/** What the readers of TensorFlow operators share. */
import { UserError } from '../errors';
import type { AttributeValue } from '../onnx/model';
import { type DataType, elementCount, Tensor } from '../onnx/tensor';
import type { GraphBuilder, OpOptions, Value } from '../ops/builder';
import type { GraphNode } from './graphdef';

/** Known before the model runs: weights, axes, lengths. */
export interface Constant {
  /** Of the node that holds it; '' where it was computed here. */
  readonly name: string;
  readonly type: DataType;
  readonly dims: readonly number[];
  /** NaN in whole numbers stands for the batch, which is open. */
  readonly data: ArrayLike<number>;
}

export type Carried = Constant | Value;

export const isConstant = (c: Carried): c is Constant => 'data' in c;

export interface NodeContext {
  readonly b: GraphBuilder;
  readonly node: GraphNode;
  readonly inputs: readonly Carried[];
  /** Adds a graph node named after the TensorFlow node and the part of it; '' is the main one. */
  op(
    opType: string,
    inputs: ReadonlyArray<Value | undefined>,
    attributes?: Record<string, AttributeValue | undefined>,
    part?: string,
    options?: OpOptions,
  ): Value;
  ops(
    opType: string,
    inputs: ReadonlyArray<Value | undefined>,
    attributes: Record<string, AttributeValue | undefined>,
    outputs: number,
  ): Value[];
  /** An input as a value of the graph. */
  value(input: number): Value;
  /** An input that has to be known. @throws UserError where it is computed */
  constant(input: number): Constant;
  /** A constant as a value of the graph; made once where it is a node's own. */
  store(constant: Constant, part?: string): Value;
}

export type NodeReader = (context: NodeContext) => Carried | readonly Carried[];

/** @throws UserError always: this node, with these attributes, is not read */
export function refuseNode({ node }: Pick<NodeContext, 'node'>, what: string, hint?: string): never {
  throw new UserError(`node '${node.name}' (${node.op}) ${what}`, hint ?? 'Convert the original to ONNX instead (tf2onnx).');
}

export function shapeOf(carried: Carried): readonly number[] {
  return isConstant(carried) ? carried.dims : carried.shape;
}

export function intsOf(c: NodeContext, input: number): number[] {
  const values = Array.from(c.constant(input).data);
  // What depends on the batch is no number at all.
  const broken = values.find((v) => Number.isFinite(v) && !Number.isInteger(v));
  if (broken !== undefined) refuseNode(c, `takes the length ${broken}, which is no whole number`);
  return values;
}

/** Whole numbers that must not depend on the batch. */
export function fixedInts(c: NodeContext, input: number): number[] {
  const values = intsOf(c, input);
  if (values.some((v) => !Number.isInteger(v))) refuseNode(c, 'takes a length that depends on the batch');
  return values;
}

export const whole = (name: string, dims: readonly number[], data: ArrayLike<number>): Constant => ({ name, type: 'int32', dims, data });

export function axisOf(c: NodeContext, axis: number, rank: number): number {
  const positive = axis < 0 ? axis + rank : axis;
  if (!(Number.isInteger(positive) && positive >= 0 && positive < rank)) refuseNode(c, `names axis ${axis} of a value of ${rank} axes`);
  return positive;
}

const STORAGE: Partial<Record<DataType, (data: number[]) => { buffer: ArrayBufferLike }>> = {
  float32: (d) => Float32Array.from(d),
  int32: (d) => Int32Array.from(d),
  bool: (d) => Uint8Array.from(d),
};

export function tensorOf(c: Constant, name: string): Tensor {
  if (c.type === 'int64') return Tensor.int64(name, c.dims, Array.from(c.data));
  const make = STORAGE[c.type];
  if (!make || c.data.length !== elementCount(c.dims))
    throw new UserError(`the constant '${c.name}' is of type ${c.type}, which is not read`);
  return new Tensor(name, c.type, c.dims, new Uint8Array(make(Array.from(c.data)).buffer));
}

/** What TensorFlow's type names are here. */
const TYPES: Readonly<Record<string, DataType>> = {
  DT_FLOAT: 'float32',
  DT_INT32: 'int32',
  DT_INT64: 'int64',
  DT_BOOL: 'bool',
  // Numbers of the enumeration, as some writers put them.
  1: 'float32',
  3: 'int32',
  9: 'int64',
  10: 'bool',
};
export const dataTypeOf = (type: string | undefined): DataType | undefined => (type === undefined ? 'float32' : TYPES[type]);

/** The permutation that brings channels, which lie last, to the front of a value of `rank` axes; and back. */
export const toFirst = (rank: number): number[] => [0, rank - 1, ...Array.from({ length: rank - 2 }, (_, i) => i + 1)];
export const toLast = (rank: number): number[] => [0, ...Array.from({ length: rank - 2 }, (_, i) => i + 2), 1];
