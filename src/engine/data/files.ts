/** Reading data files whole, with errors that name the file. */

import { existsSync, readFileSync, statSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { UserError } from '../errors';

/** The bytes of a file, as a plain Uint8Array (a Buffer's `slice` would not copy); a file packed with gzip is unpacked. Throws a UserError where it is absent, unreadable or broken. */
export function readDataFile(path: string): Uint8Array {
  if (!existsSync(path))
    throw new UserError(`The data file ${path} does not exist.`, 'Check the path, or pass the folder that holds it with --data.');
  if (!statSync(path).isFile()) throw new UserError(`${path} is a folder where a data file was expected.`, 'Name the file itself.');
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    throw new UserError(`The data file ${path} cannot be read: ${(cause as Error).message}.`, 'Check its permissions and size.', { cause });
  }
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return plain(bytes);
  try {
    return plain(gunzipSync(bytes));
  } catch (cause) {
    throw new UserError(`The file ${path} is not a whole gzip file: ${(cause as Error).message}.`, 'Copy or download it again.', { cause });
  }
}

function plain(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
