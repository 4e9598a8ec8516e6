/** ONNX models from and to files: reading with external data, writing in chunks, atomically. */
import {
  closeSync,
  existsSync,
  fstatSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path';
import { threadId } from 'node:worker_threads';
import { UserError } from '../errors';
import { decode, encode } from './codec';
import type { Model } from './model';
import { externalTensors, modelFromProto, modelToProto } from './model-proto';
import { type ModelProto, modelSpec, type TensorProto } from './schema';
import type { ExternalData } from './tensor';

/** Protobuf's own limit on a message, in bytes. */
const LIMIT = 2 ** 31;

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

/**
 * Files beside a model file in which its tensors keep their data, each once. They are looked up, and not read.
 * @throws UserError where one is not there, or lies outside the model's folder
 */
export function externalFiles(path: string): string[] {
  const folder = dirname(resolve(path));
  return explain(path, () => {
    const { graph } = decode<ModelProto>(readWhole(path), modelSpec);
    return [...new Set(graph ? externalTensors(graph).map((t) => externalFile(t, folder)) : [])];
  });
}

/** The model as one piece of memory, as onnxruntime takes it. */
export function modelBytes(model: Model): Uint8Array {
  const { chunks, byteLength } = encode(modelToProto(model), modelSpec);
  if (byteLength >= LIMIT) throw new UserError('the model exceeds 2 GB, the limit of the format without external data');
  const out = new Uint8Array(byteLength);
  let at = 0;
  for (const c of chunks) {
    out.set(c, at);
    at += c.byteLength;
  }
  return out;
}

/**
 * Writes a model beside its final place and moves it there, so that a reader never sees half a file. Returns its size in bytes.
 * @throws UserError where the disk refuses; an older file at `path` then stays as it was
 */
export function saveModel(model: Model, path: string): number {
  const { chunks, byteLength } = encode(modelToProto(model), modelSpec);
  if (byteLength >= LIMIT) throw new UserError(`${path}: the model exceeds 2 GB, the limit of the format without external data`);
  // Worker threads share the process number.
  const temporary = `${path}.${process.pid}-${threadId}.tmp`;
  try {
    mkdirSync(dirname(resolve(path)), { recursive: true });
    const fd = openSync(temporary, 'w');
    try {
      for (const c of chunks) for (let at = 0; at < c.byteLength; ) at += writeSync(fd, c, at, c.byteLength - at);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (cause) {
    discard(temporary);
    throw new UserError(`cannot write ${path}: ${refusal(cause)}`, 'Free some space or choose another folder.', { cause });
  }
  return byteLength;
}

/** Removes what was begun; where even that is refused, the first refusal is the one to tell of. */
function discard(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {}
}

/** What the disk refused, in words. */
function refusal(cause: unknown): string {
  const { code, message } = cause as NodeJS.ErrnoException;
  const words: Record<string, string> = {
    ENOSPC: 'the disk is full',
    EACCES: 'no permission',
    EPERM: 'no permission',
    EROFS: 'the disk is read-only',
    EISDIR: 'it is a folder',
    ENOTDIR: 'a part of the path is a file',
  };
  return words[code ?? ''] ?? message;
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
  if (!existsSync(path)) throw new UserError(`${path}: no such file`, 'Check the path; it is taken from the folder you are in.');
  return readRange(path, 0);
}

/** Bytes of a plain file (a pipe or a device would never end). Without a length, all from `offset` on. */
function readRange(path: string, offset: number, length?: number): Uint8Array {
  try {
    if (!statSync(path).isFile()) throw new UserError(`${path}: not a file`, 'Choose the model file itself.');
    const fd = openSync(path, 'r');
    try {
      const size = fstatSync(fd).size;
      const wanted = length ?? size - offset;
      if (wanted < 0 || offset + wanted > size)
        throw new UserError(`${path} ends before byte ${offset + Math.max(0, wanted)}`, 'The file was cut short; copy or export it again.');
      if (wanted >= LIMIT) throw new UserError(`${path}: ${wanted} bytes in one piece exceed 2 GB, the limit of the format`);
      // Its own buffer, 8-byte aligned, so that typed views of tensors need no copy where offsets allow.
      const out = new Uint8Array(new ArrayBuffer(wanted));
      for (let at = 0; at < wanted; ) {
        const n = readSync(fd, out, at, Math.min(wanted - at, 1 << 30), offset + at);
        if (n === 0) throw new UserError(`${path} ended while it was read`, 'Is another program writing it?');
        at += n;
      }
      return out;
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    throw new UserError(`cannot read ${path}: ${refusal(cause)}`, 'Check the permissions of the file.', { cause });
  }
}

/** True where a location, as any platform would read it, is absolute, names a drive, or goes up: such a one is refused on all of them. */
const leadsOut = (location: string): boolean =>
  location === '' || /^[\\/]/.test(location) || /^[A-Za-z]:/.test(location) || location.split(/[\\/]/).includes('..');

const externalFields = (t: TensorProto): Map<string, string> => new Map(t.externalData.map((e) => [e.key ?? '', e.value ?? '']));

/** The file inside the model's folder that holds a tensor's data; anything that leads out of it, by links as well, is refused. */
function externalFile(t: TensorProto, folder: string | undefined): string {
  const name = t.name ?? '';
  const location = externalFields(t).get('location') ?? '';
  if (folder === undefined)
    throw new UserError(`tensor '${name}' keeps its data in '${location}', but the model was not read from a folder`);
  const outside = (): UserError =>
    new UserError(
      `tensor '${name}' keeps its data in '${location}', outside the model's folder; this is refused`,
      'Put the data file beside the model and name it without a path.',
    );
  if (leadsOut(location)) throw outside();
  const path = resolve(folder, location);
  if (location.includes('\0') || !existsSync(path))
    throw new UserError(
      `tensor '${name}' keeps its data in '${location}', which is not beside the model`,
      `Copy ${join(folder, location)} there.`,
    );
  const inside = relative(realpathSync(folder), realpathSync(path));
  if (inside === '' || inside.split(sep)[0] === '..' || isAbsolute(inside)) throw outside();
  return path;
}

/** Reads external tensor data. */
function externalReader(folder: string | undefined): ExternalData {
  return (t, needed) => {
    const path = externalFile(t, folder);
    const name = t.name ?? '';
    const fields = externalFields(t);
    const number = (key: string): number | undefined => {
      const text = fields.get(key);
      if (text === undefined) return undefined;
      const n = /^\d+$/.test(text) ? Number(text) : Number.NaN;
      if (!Number.isSafeInteger(n)) throw new UserError(`tensor '${name}': external data has the impossible ${key} '${text}'`);
      return n;
    };
    const length = number('length');
    // Told before anything is read: many tensors could name one large file.
    if (length !== undefined && length !== needed)
      throw new UserError(
        `tensor '${name}' keeps ${length} bytes in '${fields.get('location')}' where ${needed} belong`,
        'Export the model again.',
      );
    return readRange(path, number('offset') ?? 0, needed);
  };
}
