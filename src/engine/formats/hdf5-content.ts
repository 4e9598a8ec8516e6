/** Reading HDF5 files by the HDF Group's library compiled to WebAssembly (h5wasm), in this thread. */
import type * as H5 from 'h5wasm';
import { UserError } from '../errors';
import { elementCount } from '../onnx/tensor';
import type { Hdf5Content } from './hdf5';
import type { Weight } from './weights';

let counter = 0;

/**
 * @param ready called once the library is loaded
 * @param only the root group whose data sets are wanted; undefined: all
 * @throws UserError where the bytes are no HDF5 file
 */
export async function readHdf5Here(bytes: Uint8Array, label: string, only?: string, ready?: () => void): Promise<Hdf5Content> {
  const h5: typeof H5 = await import('h5wasm');
  const library = await h5.ready;
  const { FS } = library;
  // Otherwise it prints what goes wrong and carries on.
  library.activate_throwing_error_handler();
  ready?.();
  // The library reads from a file system of its own, in memory.
  const name = `espalier-${counter++}.h5`;
  FS.writeFile(name, bytes);
  try {
    let file: H5.File;
    try {
      file = new h5.File(name, 'r');
    } catch (cause) {
      throw damaged(label, cause);
    }
    try {
      return content(h5, file, only);
    } catch (cause) {
      throw cause instanceof UserError ? cause : damaged(label, cause);
    } finally {
      file.close();
    }
  } finally {
    FS.unlink(name);
  }
}

export const damaged = (label: string, cause: unknown): UserError =>
  new UserError(`${label} cannot be read as an HDF5 file`, 'It is damaged or was cut short; copy or save it again.', { cause });

/** More would need more memory than there is; a damaged file may say any number. */
const MAX_ELEMENTS = 2 ** 29;
/** More groups and data sets than any model has; a group that a damaged file puts into itself would have no end. */
const MAX_ENTRIES = 100_000;
/** Deeper files are not what Keras writes. */
const MAX_DEPTH = 64;

function content(h5: typeof H5, file: H5.File, only: string | undefined): Hdf5Content {
  const datasets = new Map<string, Weight>();
  const groupNames = new Map<string, string>();
  let entries = 0;
  const visit = (group: H5.Group, path: string, depth: number): void => {
    if (depth > MAX_DEPTH) throw new UserError(`the group '${path}' lies too deep`, 'Save the model again.');
    for (const key of group.keys()) {
      if (++entries > MAX_ENTRIES) throw new UserError('its groups hold each other without end', 'It is damaged; copy or save it again.');
      const entry = group.get(key);
      const at = path === '' ? key : `${path}/${key}`;
      if (entry instanceof h5.Group) {
        const name = entry.attrs['name']?.value;
        if (typeof name === 'string') groupNames.set(at, name);
        visit(entry, at, depth + 1);
      } else if (entry instanceof h5.Dataset) {
        const weight = numeric(entry);
        if (weight) datasets.set(at, weight);
      }
    }
  };
  const roots = file.keys();
  if (only === undefined) visit(file, '', 0);
  else if (roots.includes(only)) {
    const group = file.get(only);
    if (group instanceof h5.Group) visit(group, only, 0);
  }
  const attributes = new Map<string, string>();
  for (const [key, attribute] of Object.entries(file.attrs)) {
    const { value } = attribute;
    if (typeof value === 'string') attributes.set(key, value);
  }
  return { attributes, roots, datasets, groupNames };
}

function numeric(dataset: H5.Dataset): Weight | undefined {
  const dims = dataset.shape ?? [];
  if (!(elementCount(dims) <= MAX_ELEMENTS))
    throw new UserError(`the data set '${dataset.path}' of dimensions [${dims.join(', ')}] is too large`, 'Save the model again.');
  const { value } = dataset;
  if (value instanceof Float32Array) return { dims, data: value };
  if (ArrayBuffer.isView(value) && !(value instanceof BigInt64Array) && !(value instanceof BigUint64Array)) {
    const data = Float32Array.from(value as Float64Array);
    return data.length === elementCount(dims) ? { dims, data } : undefined;
  }
  return typeof value === 'number' ? { dims, data: Float32Array.of(value) } : undefined;
}
