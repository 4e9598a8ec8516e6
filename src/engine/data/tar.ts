/** Regular files of a tar archive (POSIX.1-1988 ustar: 512-byte headers; name at 0, size in octal at 124, checksum at 148, type at 156). */

import { UserError } from '../errors';

const BLOCK = 512;

export interface TarFile {
  /** As stored, with forward slashes. Never a path to write to unchecked. */
  readonly path: string;
  readonly bytes: Uint8Array;
}

/** Reads the archive; `name` is how errors call it. Throws a UserError where a header's checksum is wrong or the archive ends early. */
export function readTar(archive: Uint8Array, name: string): TarFile[] {
  const files: TarFile[] = [];
  const text = (from: number, length: number) => {
    const field = archive.subarray(from, from + length);
    const end = field.indexOf(0);
    return new TextDecoder().decode(field.slice(0, end < 0 ? length : end)).trim();
  };
  let at = 0;
  while (at + BLOCK <= archive.length && archive[at] !== 0) {
    let sum = 0;
    // The checksum counts its own eight bytes as spaces.
    for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 32 : archive[at + i];
    const size = Number.parseInt(text(at + 124, 12), 8);
    if (sum !== Number.parseInt(text(at + 148, 8), 8) || Number.isNaN(size)) {
      throw new UserError(`${name} is not a whole tar archive: the header at byte ${at} is broken.`, 'Download it again.');
    }
    const start = at + BLOCK;
    if (start + size > archive.length) throw new UserError(`${name} ends within ${text(at, 100)}.`, 'Download it again.');
    const type = archive[at + 156];
    if (type === 0 || type === 0x30) files.push({ path: text(at, 100), bytes: archive.subarray(start, start + size) });
    at = start + Math.ceil(size / BLOCK) * BLOCK;
  }
  return files;
}
