/** All file formats Espalier reads: one line each, each loaded when a file of it comes. */
import { createHash, type Hash } from 'node:crypto';
import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { UserError } from '../errors';
import { saveModel } from '../onnx/file';
import type { Model } from '../onnx/model';
import { HEAD_BYTES, type ModelFormat } from './format';

/** In the order in which they are asked; ONNX has no signature of its own and comes last. */
const FORMATS: ReadonlyArray<{ readonly name: string; readonly extensions: readonly string[]; load(): Promise<ModelFormat> }> = [
  { name: 'TensorFlow.js graph models', extensions: ['model.json'], load: async () => (await import('./tfjs-graph')).tfjsGraph },
  { name: 'TensorFlow.js layers models', extensions: ['model.json'], load: async () => (await import('./tfjs-layers')).tfjsLayers },
  { name: 'Keras HDF5', extensions: ['.h5'], load: async () => (await import('./keras-h5')).kerasH5 },
  { name: 'Keras 3', extensions: ['.keras'], load: async () => (await import('./keras-zip')).kerasZip },
  { name: 'TensorFlow SavedModel', extensions: ['saved_model.pb'], load: async () => (await import('./saved-model')).savedModel },
  { name: 'Deep Compression', extensions: ['.esdc'], load: async () => (await import('./deep-compression')).deepCompression },
  { name: 'ONNX', extensions: ['.onnx'], load: async () => (await import('./onnx')).onnx },
];

/** What the file is called that makes a folder a SavedModel. */
const SAVED_MODEL = 'saved_model.pb';

/** For people: 'ONNX (.onnx), Keras 3 (.keras), …'. */
export const formatNames = (): string =>
  [...FORMATS]
    .reverse()
    .map((f) => `${f.name} (${f.extensions.join(', ')})`)
    .join(', ');

/**
 * Reads a model of any format into an ONNX graph, images as N, C, H, W.
 * @throws UserError naming the file, and the layer where it is one that cannot be read
 */
export async function loadAnyModel(path: string): Promise<Model> {
  const format = await formatOf(path);
  try {
    return await format.read(modelFile(path));
  } catch (cause) {
    if (!(cause instanceof UserError) || cause.message.includes(path)) throw cause;
    throw new UserError(`${path}: ${cause.message}`, cause.hint, { cause });
  }
}

/** What kind of file this is, by its content; where nothing recognises that, by its name. @throws UserError where it is none that is read */
export async function formatOf(path: string): Promise<ModelFormat> {
  const head = readHead(path);
  const extension = extname(modelFile(path)).toLowerCase();
  const formats = await Promise.all(FORMATS.map((f) => f.load()));
  const found = formats.find((f) => f.sniff(path, head)) ?? formats.find((f) => f.extensions.includes(extension));
  if (found) return found;
  throw new UserError(`${path} is no model of a format that is read`, `Read are ${formatNames()}.`);
}

/**
 * The model as one ONNX file that needs no other: `path` itself where it is one, else written to `to`. Returns where it is. What is measured
 * of it is then the whole model's size, and its bytes alone are what onnxruntime needs.
 */
export async function asOnnxFile(path: string, to: string): Promise<string> {
  const format = await formatOf(path);
  if (format.name === 'ONNX' && ((await format.companions?.(path)) ?? []).length === 0) return path;
  saveModel(await loadAnyModel(path), to);
  return to;
}

/** SHA-256 over the model's file and, where its weights lie in others, those; in hexadecimal. */
export async function modelHash(path: string): Promise<string> {
  const file = modelFile(path);
  const hash = createHash('sha256');
  addFile(hash, file);
  const format = await formatOf(path);
  for (const companion of (await format.companions?.(file)) ?? []) if (existsSync(companion)) addFile(hash, companion);
  return hash.digest('hex');
}

/** Piece by piece: a file of weights may be larger than what can be read at once. */
function addFile(hash: Hash, path: string): void {
  const piece = new Uint8Array(1 << 22);
  const fd = openSync(path, 'r');
  try {
    for (let n = readSync(fd, piece); n > 0; n = readSync(fd, piece)) hash.update(piece.subarray(0, n));
  } finally {
    closeSync(fd);
  }
}

/** The file that a model is opened by: a SavedModel may be named by its folder. */
function modelFile(path: string): string {
  const saved = join(path, SAVED_MODEL);
  return existsSync(saved) && statSync(path).isDirectory() ? saved : path;
}

function readHead(given: string): Uint8Array {
  const path = modelFile(given);
  if (!existsSync(path)) throw new UserError(`${path}: no such file`, 'Check the path of the model.');
  if (statSync(path).isDirectory()) {
    const model = join(path, 'model.json');
    throw new UserError(
      `${path} is a folder, not a model file`,
      existsSync(model) ? `Name ${basename(model)} in it.` : 'Name the model file in it.',
    );
  }
  const head = new Uint8Array(HEAD_BYTES);
  try {
    const fd = openSync(path, 'r');
    try {
      return head.subarray(0, readSync(fd, head));
    } finally {
      closeSync(fd);
    }
  } catch (cause) {
    throw new UserError(
      `cannot read ${path}: ${cause instanceof Error ? cause.message : String(cause)}`,
      'Check the permissions of the file.',
      { cause },
    );
  }
}
