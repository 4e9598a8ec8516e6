/**
 * The part of the ONNX file format (protobuf) that Espalier reads and writes, as field tables.
 * Field numbers are facts of the format (onnx.proto3, IR version 3 to 11); what a table does not list survives in `unknown`.
 */

/** A 64-bit integer: a number where it is exact, a bigint where it is not (for example INT64_MAX as a slice end). */
export type Int64 = number | bigint;

/** Fields that a table does not name, kept byte for byte: [field number, wire type, data]. */
export type UnknownFields = Array<[number, number, Uint8Array]>;

interface Message {
  unknown?: UnknownFields;
}

export interface StringStringEntryProto extends Message {
  key?: string;
  value?: string;
}
export interface OperatorSetIdProto extends Message {
  domain?: string;
  version?: Int64;
}
export interface DimensionProto extends Message {
  dimValue?: Int64;
  dimParam?: string;
}
export interface TensorShapeProto extends Message {
  dim: DimensionProto[];
}
export interface TensorTypeProto extends Message {
  elemType?: number;
  shape?: TensorShapeProto;
}
export interface TypeProto extends Message {
  tensorType?: TensorTypeProto;
}
export interface ValueInfoProto extends Message {
  name?: string;
  type?: TypeProto;
}
export interface TensorProto extends Message {
  dims: Int64[];
  dataType?: number;
  floatData?: Float32Array;
  int32Data?: Int64[];
  stringData: Uint8Array[];
  int64Data?: Int64[];
  name?: string;
  rawData?: Uint8Array;
  doubleData?: Float64Array;
  uint64Data?: Int64[];
  externalData: StringStringEntryProto[];
  dataLocation?: number;
}
export interface AttributeProto extends Message {
  name?: string;
  f?: number;
  i?: Int64;
  s?: Uint8Array;
  t?: TensorProto;
  g?: GraphProto;
  floats?: Float32Array;
  ints?: Int64[];
  strings: Uint8Array[];
  tensors: TensorProto[];
  graphs: GraphProto[];
  type?: number;
}
export interface SparseTensorProto extends Message {
  values?: TensorProto;
}
export interface NodeProto extends Message {
  input: string[];
  output: string[];
  name?: string;
  opType?: string;
  attribute: AttributeProto[];
  domain?: string;
  metadataProps: StringStringEntryProto[];
}
export interface GraphProto extends Message {
  node: NodeProto[];
  name?: string;
  initializer: TensorProto[];
  input: ValueInfoProto[];
  output: ValueInfoProto[];
  valueInfo: ValueInfoProto[];
  /** Weights kept as positions and values; carried through as they are, under the name of `values`. */
  sparseInitializer?: SparseTensorProto[];
}
export interface ModelProto extends Message {
  irVersion?: Int64;
  producerName?: string;
  producerVersion?: string;
  domain?: string;
  modelVersion?: Int64;
  docString?: string;
  graph?: GraphProto;
  opsetImport: OperatorSetIdProto[];
  metadataProps: StringStringEntryProto[];
}

export type ScalarKind = 'int64' | 'int32' | 'uint64' | 'float' | 'double' | 'string' | 'bytes';

export interface FieldSpec {
  readonly key: string;
  readonly kind: ScalarKind | (() => MessageSpec);
  readonly repeated: boolean;
}
export interface MessageSpec {
  readonly name: string;
  readonly fields: ReadonlyMap<number, FieldSpec>;
}

type Row = [number, string, FieldSpec['kind'], 'repeated'?];
export const message = (name: string, rows: Row[]): MessageSpec => ({
  name,
  fields: new Map(rows.map(([no, key, kind, repeated]) => [no, { key, kind, repeated: repeated === 'repeated' }])),
});

const entry = message('StringStringEntryProto', [
  [1, 'key', 'string'],
  [2, 'value', 'string'],
]);
const opset = message('OperatorSetIdProto', [
  [1, 'domain', 'string'],
  [2, 'version', 'int64'],
]);
const dimension = message('TensorShapeProto.Dimension', [
  [1, 'dimValue', 'int64'],
  [2, 'dimParam', 'string'],
]);
const shape = message('TensorShapeProto', [[1, 'dim', () => dimension, 'repeated']]);
const tensorType = message('TypeProto.Tensor', [
  [1, 'elemType', 'int32'],
  [2, 'shape', () => shape],
]);
const type = message('TypeProto', [[1, 'tensorType', () => tensorType]]);
const valueInfo = message('ValueInfoProto', [
  [1, 'name', 'string'],
  [2, 'type', () => type],
]);
const tensor = message('TensorProto', [
  [1, 'dims', 'int64', 'repeated'],
  [2, 'dataType', 'int32'],
  [4, 'floatData', 'float', 'repeated'],
  [5, 'int32Data', 'int32', 'repeated'],
  [6, 'stringData', 'bytes', 'repeated'],
  [7, 'int64Data', 'int64', 'repeated'],
  [8, 'name', 'string'],
  [9, 'rawData', 'bytes'],
  [10, 'doubleData', 'double', 'repeated'],
  [11, 'uint64Data', 'uint64', 'repeated'],
  [13, 'externalData', () => entry, 'repeated'],
  [14, 'dataLocation', 'int32'],
]);
const sparseTensor = message('SparseTensorProto', [[1, 'values', () => tensor]]);
const attribute: MessageSpec = message('AttributeProto', [
  [1, 'name', 'string'],
  [2, 'f', 'float'],
  [3, 'i', 'int64'],
  [4, 's', 'bytes'],
  [5, 't', () => tensor],
  [6, 'g', () => graph],
  [7, 'floats', 'float', 'repeated'],
  [8, 'ints', 'int64', 'repeated'],
  [9, 'strings', 'bytes', 'repeated'],
  [10, 'tensors', () => tensor, 'repeated'],
  [11, 'graphs', () => graph, 'repeated'],
  [20, 'type', 'int32'],
]);
const node = message('NodeProto', [
  [1, 'input', 'string', 'repeated'],
  [2, 'output', 'string', 'repeated'],
  [3, 'name', 'string'],
  [4, 'opType', 'string'],
  [5, 'attribute', () => attribute, 'repeated'],
  [7, 'domain', 'string'],
  [9, 'metadataProps', () => entry, 'repeated'],
]);
const graph: MessageSpec = message('GraphProto', [
  [1, 'node', () => node, 'repeated'],
  [2, 'name', 'string'],
  [5, 'initializer', () => tensor, 'repeated'],
  [11, 'input', () => valueInfo, 'repeated'],
  [12, 'output', () => valueInfo, 'repeated'],
  [13, 'valueInfo', () => valueInfo, 'repeated'],
  [15, 'sparseInitializer', () => sparseTensor, 'repeated'],
]);

export const modelSpec = message('ModelProto', [
  [1, 'irVersion', 'int64'],
  [2, 'producerName', 'string'],
  [3, 'producerVersion', 'string'],
  [4, 'domain', 'string'],
  [5, 'modelVersion', 'int64'],
  [6, 'docString', 'string'],
  [7, 'graph', () => graph],
  [8, 'opsetImport', () => opset, 'repeated'],
  [14, 'metadataProps', () => entry, 'repeated'],
]);
export const tensorSpec = tensor;

/** AttributeProto.AttributeType: which field of an attribute holds its value. */
export const AttributeType = {
  FLOAT: 1,
  INT: 2,
  STRING: 3,
  TENSOR: 4,
  GRAPH: 5,
  FLOATS: 6,
  INTS: 7,
  STRINGS: 8,
  TENSORS: 9,
  GRAPHS: 10,
} as const;
