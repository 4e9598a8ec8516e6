/** ONNX models from and to files: reading with external data, writing in chunks, atomically. */
import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve } from 'node:path';
import { UserError } from '../errors';
import { decode, encode } from './codec';
import { type Model, modelFromProto, modelToProto } from './model';
import { type ModelProto, modelSpec, type TensorProto } from './schema';

/**
 * Reads a model file. Tensor data is a view of the file's bytes, not a copy.
 * @throws UserError naming the file and what is wrong with it
 */
export function loadModel(path: string): Model {
  const bytes = readWhole(path);
  return explain(path, () => parseModel(bytes, dirname(resolve(path))));
}

/**
 * A model from bytes in memory.
 * @param folder where tensors with external data may lie; undefined refuses them
 */
export function parseModel(bytes: Uint8Array, folder?: string): Model {
  if (bytes.byteLength === 0) throw new UserError('the file is empty');
  const proto = decode<ModelProto>(bytes, modelSpec);
  if (!proto.graph || (proto.graph.node.length === 0 && proto.graph.output.length === 0)) {
    throw new UserError('this is not an ONNX model: it holds no graph');
  }
  return modelFromProto(proto, externalReader(folder));
}

/** The model as one piece of memory, as onnxruntime takes it. */
export function modelBytes(model: Model): Uint8Array {
  const { chunks, byteLength } = encode(modelToProto(model), modelSpec);
  if (byteLength >= 2 ** 31) throw new UserError('the model exceeds 2 GB, the limit of the format without external data');
  const out = new Uint8Array(byteLength);
  let at = 0;
  for (const c of chunks) {
    out.set(c, at);
    at += c.byteLength;
  }
  return out;
}

/** Writes a model beside its final place and moves it there, so that a reader never sees half a file. Returns its size in bytes. */
export function saveModel(model: Model, path: string): number {
  const { chunks, byteLength } = encode(modelToProto(model), modelSpec);
  if (byteLength >= 2 ** 31) throw new UserError(`${path}: the model exceeds 2 GB, the limit of the format without external data`);
  const temporary = `${path}.${process.pid}.tmp`;
  mkdirSync(dirname(resolve(path)), { recursive: true });
  const fd = openSync(temporary, 'w');
  try {
    for (const c of chunks) for (let at = 0; at < c.byteLength; ) at += writeSync(fd, c, at, c.byteLength - at);
  } catch (cause) {
    closeSync(fd);
    rmSync(temporary, { force: true });
    throw new UserError(`cannot write ${path}: ${(cause as Error).message}`, 'Free some space or choose another folder.', { cause });
  }
  closeSync(fd);
  renameSync(temporary, path);
  return byteLength;
}

function explain<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (e) {
    if (e instanceof UserError)
      throw new UserError(`${path}: ${e.message}`, e.hint ?? 'Check that the file is a complete ONNX model.', { cause: e });
    throw e;
  }
}

function readWhole(path: string): Uint8Array {
  if (!existsSync(path)) throw new UserError(`${path}: no such file`);
  if (!statSync(path).isFile()) throw new UserError(`${path}: not a file`);
  return readRange(path, 0);
}

function readRange(path: string, offset: number, length?: number): Uint8Array {
  const fd = openSync(path, 'r');
  try {
    const size = fstatSync(fd).size;
    const wanted = length ?? size - offset;
    if (wanted < 0 || offset + wanted > size)
      throw new UserError(`${path} ends before byte ${offset + wanted}`, 'The data file was cut short.');
    // Its own buffer, 8-byte aligned, so that typed views of tensors need no copy where offsets allow.
    const out = new Uint8Array(new ArrayBuffer(wanted));
    for (let at = 0; at < wanted; ) {
      const n = readSync(fd, out, at, Math.min(wanted - at, 1 << 30), offset + at);
      if (n === 0) throw new UserError(`${path} ended while it was read`);
      at += n;
    }
    return out;
  } finally {
    closeSync(fd);
  }
}

/** Resolves external tensor data inside the model's folder; anything that leads out of it is refused. */
function externalReader(folder: string | undefined): (t: TensorProto) => Uint8Array {
  return (t) => {
    const name = t.name ?? '';
    const fields = new Map(t.externalData.map((e) => [e.key ?? '', e.value ?? '']));
    const location = fields.get('location') ?? '';
    if (folder === undefined)
      throw new UserError(`tensor '${name}' keeps its data in '${location}', but the model was not read from a folder`);
    const path = resolve(folder, location);
    const inside = relative(resolve(folder), path);
    if (location === '' || isAbsolute(location) || inside.startsWith('..') || isAbsolute(inside)) {
      throw new UserError(`tensor '${name}' keeps its data in '${location}', outside the model's folder; this is refused`);
    }
    if (!existsSync(path))
      throw new UserError(
        `tensor '${name}' keeps its data in '${location}', which is not beside the model`,
        `Copy ${join(folder, location)} there.`,
      );
    const number = (key: string): number | undefined => {
      const text = fields.get(key);
      if (text === undefined) return undefined;
      const n = Number(text);
      if (!Number.isSafeInteger(n) || n < 0) throw new UserError(`tensor '${name}': external data has the impossible ${key} '${text}'`);
      return n;
    };
    return readRange(path, number('offset') ?? 0, number('length'));
  };
}
