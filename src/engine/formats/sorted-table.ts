/**
 * Sorted tables of keys and values (LevelDB's table format, which TensorFlow keeps the index of a checkpoint in): blocks of entries whose keys share
 * beginnings, an index block that says where the others lie, and a footer of 48 bytes that says where the index is.
 */
import { UserError } from '../errors';

const FOOTER = 48;
/** The last eight bytes, little-endian. */
const MAGIC = [0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb];
/** Behind each block: one byte for its compression, four for its check sum. */
const TRAILER = 5;

const damaged = (what: string): never => {
  throw new UserError(`the table ${what}`, 'The file is damaged or was cut short; copy it again.');
};

/** Reads whole numbers of varying length, forwards. */
class Cursor {
  constructor(
    readonly bytes: Uint8Array,
    public at: number,
    readonly end: number,
  ) {}

  varint(): number {
    let value = 0;
    for (let shift = 0; shift < 50; shift += 7) {
      if (this.at >= this.end) return damaged('ends within a number');
      const byte = this.bytes[this.at++];
      value += (byte & 127) * 2 ** shift;
      if (byte < 128) return value;
    }
    return damaged('holds a number that is too long');
  }

  take(length: number): Uint8Array {
    if (!(length <= this.end - this.at)) return damaged('names bytes behind its end');
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }
}

interface Handle {
  readonly offset: number;
  readonly size: number;
}

const handleAt = (cursor: Cursor): Handle => ({ offset: cursor.varint(), size: cursor.varint() });

/** The entries of one block, in order. */
function* entriesOf(file: Uint8Array, { offset, size }: Handle): Generator<readonly [key: Uint8Array, value: Uint8Array]> {
  if (!(offset + size + TRAILER <= file.byteLength - FOOTER)) damaged('names a block behind its end');
  if (file[offset + size] !== 0)
    throw new UserError('the table is compressed, which TensorFlow does not do', 'Save the model again with TensorFlow.');
  if (size < 4) damaged('has a block without entries');
  const block = file.subarray(offset, offset + size);
  const restarts = new DataView(block.buffer, block.byteOffset, block.byteLength).getUint32(size - 4, true);
  const end = size - 4 - 4 * restarts;
  if (end < 0) damaged('has a block that is shorter than its own index');
  const cursor = new Cursor(block, 0, end);
  let key: Uint8Array = new Uint8Array(0);
  while (cursor.at < end) {
    const [shared, own, length] = [cursor.varint(), cursor.varint(), cursor.varint()];
    if (shared > key.byteLength) damaged('has a key that goes on from nothing');
    const next = new Uint8Array(shared + cursor.take(own).byteLength);
    next.set(key.subarray(0, shared));
    next.set(block.subarray(cursor.at - own, cursor.at), shared);
    key = next;
    yield [key, cursor.take(length)];
  }
}

/**
 * All entries; keys as text, values as views of the file.
 * @throws UserError where the file is no such table
 */
export function readSortedTable(file: Uint8Array): Map<string, Uint8Array> {
  const { byteLength } = file;
  if (byteLength < FOOTER || MAGIC.some((byte, i) => file[byteLength - 8 + i] !== byte)) damaged('does not end as one does');
  const footer = new Cursor(file, byteLength - FOOTER, byteLength - 8);
  // The first block named is of no use here.
  handleAt(footer);
  const found = new Map<string, Uint8Array>();
  for (const [, value] of entriesOf(file, handleAt(footer))) {
    const block = handleAt(new Cursor(value, 0, value.byteLength));
    for (const [key, entry] of entriesOf(file, block)) found.set(Buffer.from(key).toString('utf8'), entry);
  }
  return found;
}
