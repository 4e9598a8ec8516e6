/**
 * The part of TensorFlow's SavedModel (protobuf) that is read here, as field tables for `onnx/codec.ts`. Field numbers are facts of the format
 * (tensorflow/core/protobuf/saved_model.proto, meta_graph.proto, saver.proto, tensor_bundle.proto; tensorflow/core/framework/graph.proto,
 * node_def.proto, attr_value.proto, tensor.proto, function.proto, op_def.proto). A map is a list of entries, as protobuf writes it.
 */
import { type Int64, type MessageSpec, message } from '../onnx/schema';

interface Entry<T> {
  readonly key?: string;
  readonly value?: T;
}

export interface TensorShapeDef {
  readonly dim: ReadonlyArray<{ readonly size?: Int64 }>;
  readonly unknownRank?: Int64;
}

export interface TensorDef {
  readonly dtype?: number;
  readonly shape?: TensorShapeDef;
  /** All values, little-endian; where it is empty they stand in the list of their type. */
  readonly content?: Uint8Array;
  readonly floats?: Float32Array;
  readonly doubles?: Float64Array;
  readonly ints?: readonly Int64[];
  readonly strings: readonly Uint8Array[];
  readonly int64s?: readonly Int64[];
  readonly bools?: readonly Int64[];
}

interface ListDef {
  readonly s: readonly Uint8Array[];
  readonly i?: readonly Int64[];
}

export interface AttributeDef {
  readonly list?: ListDef;
  readonly s?: Uint8Array;
  readonly i?: Int64;
  readonly f?: number;
  readonly b?: Int64;
  readonly type?: number;
  readonly shape?: TensorShapeDef;
  readonly tensor?: TensorDef;
  readonly function?: { readonly name?: string };
}

export interface NodeDef {
  readonly name?: string;
  readonly op?: string;
  readonly input: readonly string[];
  readonly attributes: ReadonlyArray<Entry<AttributeDef>>;
}

export interface FunctionDef {
  readonly signature?: {
    readonly name?: string;
    readonly inputs: ReadonlyArray<{ readonly name?: string }>;
    readonly outputs: ReadonlyArray<{ readonly name?: string }>;
  };
  readonly nodes: readonly NodeDef[];
  /** Which value of the body each output is. */
  readonly results: ReadonlyArray<Entry<string>>;
}

export interface GraphDef {
  readonly nodes: readonly NodeDef[];
  readonly library?: { readonly functions: readonly FunctionDef[] };
}

export interface SignatureDef {
  readonly inputs: ReadonlyArray<Entry<{ readonly name?: string }>>;
  readonly outputs: ReadonlyArray<Entry<{ readonly name?: string }>>;
}

export interface MetaGraphDef {
  readonly info?: { readonly tags: readonly string[] };
  readonly graph?: GraphDef;
  readonly saver?: { readonly restoreOp?: string };
  readonly signatures: ReadonlyArray<Entry<SignatureDef>>;
}

export interface SavedModelDef {
  readonly schemaVersion?: Int64;
  readonly metaGraphs: readonly MetaGraphDef[];
}

/** Where a variable's values lie in the bundle's data files. */
export interface BundleEntryDef {
  readonly dtype?: number;
  readonly shape?: TensorShapeDef;
  readonly shard?: number;
  readonly offset?: Int64;
  readonly size?: Int64;
  /** Present where the variable is kept in parts. */
  readonly slices: readonly Uint8Array[];
}

export interface BundleHeaderDef {
  readonly shards?: number;
  /** 0 is little-endian. */
  readonly endianness?: number;
}

const mapOf = (name: string, value: 'string' | (() => MessageSpec)): MessageSpec =>
  message(name, [
    [1, 'key', 'string'],
    [2, 'value', value],
  ]);

const shape = message('TensorShapeProto', [
  [2, 'dim', () => message('TensorShapeProto.Dim', [[1, 'size', 'int64']]), 'repeated'],
  [3, 'unknownRank', 'int64'],
]);
const tensor = message('TensorFlow TensorProto', [
  [1, 'dtype', 'int32'],
  [2, 'shape', () => shape],
  [4, 'content', 'bytes'],
  [5, 'floats', 'float', 'repeated'],
  [6, 'doubles', 'double', 'repeated'],
  [7, 'ints', 'int64', 'repeated'],
  [8, 'strings', 'bytes', 'repeated'],
  [10, 'int64s', 'int64', 'repeated'],
  [11, 'bools', 'int64', 'repeated'],
]);
const list = message('AttrValue.ListValue', [
  [2, 's', 'bytes', 'repeated'],
  [3, 'i', 'int64', 'repeated'],
]);
const attribute = message('AttrValue', [
  [1, 'list', () => list],
  [2, 's', 'bytes'],
  [3, 'i', 'int64'],
  [4, 'f', 'float'],
  [5, 'b', 'int64'],
  [6, 'type', 'int32'],
  [7, 'shape', () => shape],
  [8, 'tensor', () => tensor],
  [10, 'function', () => message('NameAttrList', [[1, 'name', 'string']])],
]);
const node = message('NodeDef', [
  [1, 'name', 'string'],
  [2, 'op', 'string'],
  [3, 'input', 'string', 'repeated'],
  [5, 'attributes', () => mapOf('NodeDef.AttrEntry', () => attribute), 'repeated'],
]);
const argument = message('OpDef.ArgDef', [[1, 'name', 'string']]);
const functionDef = message('FunctionDef', [
  [
    1,
    'signature',
    () =>
      message('OpDef', [
        [1, 'name', 'string'],
        [2, 'inputs', () => argument, 'repeated'],
        [3, 'outputs', () => argument, 'repeated'],
      ]),
  ],
  [3, 'nodes', () => node, 'repeated'],
  [4, 'results', () => mapOf('FunctionDef.RetEntry', 'string'), 'repeated'],
]);
const graph = message('GraphDef', [
  [1, 'nodes', () => node, 'repeated'],
  [2, 'library', () => message('FunctionDefLibrary', [[1, 'functions', () => functionDef, 'repeated']])],
]);
const tensorInfo = message('TensorInfo', [[1, 'name', 'string']]);
const signature = message('SignatureDef', [
  [1, 'inputs', () => mapOf('SignatureDef.InputsEntry', () => tensorInfo), 'repeated'],
  [2, 'outputs', () => mapOf('SignatureDef.OutputsEntry', () => tensorInfo), 'repeated'],
]);
const metaGraph = message('MetaGraphDef', [
  [1, 'info', () => message('MetaInfoDef', [[4, 'tags', 'string', 'repeated']])],
  [2, 'graph', () => graph],
  [3, 'saver', () => message('SaverDef', [[3, 'restoreOp', 'string']])],
  [5, 'signatures', () => mapOf('MetaGraphDef.SignatureDefEntry', () => signature), 'repeated'],
]);

export const savedModelSpec = message('SavedModel', [
  [1, 'schemaVersion', 'int64'],
  [2, 'metaGraphs', () => metaGraph, 'repeated'],
]);
export const bundleEntrySpec = message('BundleEntryProto', [
  [1, 'dtype', 'int32'],
  [2, 'shape', () => shape],
  [3, 'shard', 'int32'],
  [4, 'offset', 'int64'],
  [5, 'size', 'int64'],
  [7, 'slices', 'bytes', 'repeated'],
]);
export const bundleHeaderSpec = message('BundleHeaderProto', [
  [1, 'shards', 'int32'],
  [2, 'endianness', 'int32'],
]);
