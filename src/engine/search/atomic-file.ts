/** Files that are whole or absent, whatever happens while they are written. */
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { UserError } from '../errors';

/** How names of unfinished files end, those of `saveModel` as well. */
export const TEMPORARY = '.tmp';

/** Writes beside the final place, flushes, and moves it there. @throws UserError where the disk refuses, leaving the old file as it was */
export function writeFileAtomic(path: string, content: string | Uint8Array): void {
  const bytes = typeof content === 'string' ? new TextEncoder().encode(content) : content;
  const temporary = `${path}.${process.pid}${TEMPORARY}`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    const fd = openSync(temporary, 'w');
    try {
      for (let at = 0; at < bytes.byteLength; ) at += writeSync(fd, bytes, at, bytes.byteLength - at);
      fsyncSync(fd);
    } finally {
      closeSync(fd);
    }
    renameSync(temporary, path);
  } catch (cause) {
    rmSync(temporary, { force: true });
    throw diskError(path, cause);
  }
}

/** What the disk refused, in words. */
export function diskError(path: string, cause: unknown): UserError {
  const { code, message } = cause as NodeJS.ErrnoException;
  const why =
    code === 'ENOSPC'
      ? 'the disk is full'
      : code === 'EACCES' || code === 'EPERM'
        ? 'no permission'
        : code === 'EROFS'
          ? 'the disk is read-only'
          : message;
  return new UserError(
    `cannot write ${path}: ${why}`,
    'Make room or choose another folder (output.folder), then resume the run; nothing measured so far is lost.',
    { cause },
  );
}
