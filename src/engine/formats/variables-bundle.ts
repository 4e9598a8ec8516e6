/** The variables of a TensorFlow checkpoint (V2, "tensor bundle"): `PREFIX.index`, a sorted table of where each lies, and `PREFIX.data-00000-of-00001`. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { UserError } from '../errors';
import { decode } from '../onnx/codec';
import { elementCount } from '../onnx/tensor';
import { readSortedTable } from './sorted-table';
import { shapeOfDef, typeName } from './tensorflow-graph';
import { type BundleEntryDef, type BundleHeaderDef, bundleEntrySpec, bundleHeaderSpec } from './tensorflow-schema';
import type { Weight } from './weights';

const AGAIN = 'Copy the folder again, with everything in "variables", or save the model again.';

/** Values by their type's name, as floats. */
const VALUES: Readonly<Record<string, (bytes: Uint8Array) => Float32Array>> = {
  DT_FLOAT: (b) => new Float32Array(aligned(b)),
  DT_DOUBLE: (b) => Float32Array.from(new Float64Array(aligned(b))),
  DT_INT32: (b) => Float32Array.from(new Int32Array(aligned(b))),
  DT_INT64: (b) => Float32Array.from(new BigInt64Array(aligned(b)), Number),
  DT_BOOL: (b) => Float32Array.from(b),
};
const WIDTHS: Readonly<Record<string, number>> = { DT_FLOAT: 4, DT_DOUBLE: 8, DT_INT32: 4, DT_INT64: 8, DT_BOOL: 1 };

/** A copy, since values need not be aligned in the file. */
const aligned = (bytes: Uint8Array): ArrayBuffer => new Uint8Array(bytes).buffer;

const shardName = (prefix: string, shard: number, shards: number): string =>
  `${prefix}.data-${String(shard).padStart(5, '0')}-of-${String(shards).padStart(5, '0')}`;

export class VariablesBundle {
  private readonly files = new Map<number, Uint8Array>();

  private constructor(
    private readonly prefix: string,
    private readonly table: ReadonlyMap<string, Uint8Array>,
    private readonly shards: number,
  ) {}

  /** @throws UserError naming the file that is missing or damaged */
  static async open(prefix: string): Promise<VariablesBundle> {
    const path = `${prefix}.index`;
    if (!existsSync(path)) throw new UserError(`${path}, the index of the model's variables, is not there`, AGAIN);
    const { table, shards } = await explained(path, async () => {
      const table = readSortedTable(await readFile(path));
      const bytes = table.get('');
      const { endianness = 0, shards = 1 } = bytes ? decode<BundleHeaderDef>(bytes, bundleHeaderSpec) : {};
      if (endianness !== 0) throw new UserError('the values are big-endian', 'Save the model on a machine of today.');
      if (!(shards > 0 && shards < 100_000)) throw new UserError(`${shards} data files are named`, AGAIN);
      return { table, shards };
    });
    return new VariablesBundle(prefix, table, shards);
  }

  /** Files that a bundle of this prefix is made of, as far as they can be told without reading it. */
  static filesOf(prefix: string): string[] {
    return [`${prefix}.index`, shardName(prefix, 0, 1)];
  }

  /** @throws UserError naming the variable */
  async read(key: string): Promise<Weight> {
    const bytes = this.table.get(key);
    if (!bytes) throw new UserError(`the variable '${key}' is not among the saved ones`, AGAIN);
    const entry = decode<BundleEntryDef>(bytes, bundleEntrySpec);
    const { dtype, slices, shard = 0, offset = 0, size = 0 } = entry;
    const type = typeName(dtype ?? 0);
    const width = Object.hasOwn(WIDTHS, type) ? WIDTHS[type] : undefined;
    if (slices.length > 0)
      throw new UserError(`the variable '${key}' is kept in parts, which is not read`, 'Save the model without partitioned variables.');
    if (!width) throw new UserError(`the variable '${key}' is of type ${type}, which is not read`, 'Save the model with float32 weights.');
    const dims = shapeOfDef(entry.shape) ?? [];
    const file = await this.file(shard);
    if (dims.some((d) => d < 0) || elementCount(dims) * width !== Number(size) || !(Number(offset) + Number(size) <= file.byteLength))
      throw new UserError(
        `the variable '${key}' of shape [${dims.join(', ')}] does not lie whole in ${basename(shardName(this.prefix, shard, this.shards))}`,
        AGAIN,
      );
    return { dims, data: VALUES[type](file.subarray(Number(offset), Number(offset) + Number(size))) };
  }

  private async file(shard: number): Promise<Uint8Array> {
    const known = this.files.get(shard);
    if (known) return known;
    const path = shardName(this.prefix, shard, this.shards);
    if (!existsSync(path)) throw new UserError(`${path}, which holds the model's variables, is not there`, AGAIN);
    const bytes = await readFile(path);
    this.files.set(shard, bytes);
    return bytes;
  }
}

async function explained<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if (cause instanceof UserError) throw new UserError(`${path}: ${cause.message}`, cause.hint ?? AGAIN, { cause });
    throw cause;
  }
}
