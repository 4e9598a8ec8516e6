/**
 * HDF5 files in memory. A damaged one can send the library, which knows no time limit, round in circles: where the bundled thread lies
 * beside this code, files are read there, and reading is given up after a while.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { UserError } from '../errors';
import { damaged, readHdf5Here } from './hdf5-content';
import type { Weight } from './weights';

/** What is read from an HDF5 file: values by their full path, and attributes of groups. */
export interface Hdf5Content {
  /** Text attributes of the file's root. */
  readonly attributes: ReadonlyMap<string, string>;
  /** Names of the root's groups and data sets. */
  readonly roots: readonly string[];
  /** Every numeric data set, by its path without a leading slash. */
  readonly datasets: ReadonlyMap<string, Weight>;
  /** The text attribute `name` of groups that have one, by path. */
  readonly groupNames: ReadonlyMap<string, string>;
}

export const HDF5_SIGNATURE = Uint8Array.of(0x89, 0x48, 0x44, 0x46, 0x0d, 0x0a, 0x1a, 0x0a);

/** What the thread is asked, and what it answers: first that it is ready, then the content or what is wrong. */
export interface Hdf5Request {
  readonly bytes: Uint8Array;
  readonly label: string;
  readonly only?: string;
}
export type Hdf5Answer =
  | { readonly ready: true }
  | { readonly content: Hdf5Content }
  | { readonly message: string; readonly hint?: string };

/** Milliseconds of processor time that reading may take, whatever else the machine does: for any file, and for each of its megabytes. */
const PATIENCE = { file: 6000, megabyte: 500 };

/**
 * @param only the root group whose data sets are wanted; undefined: all
 * @throws UserError where the bytes are no HDF5 file
 */
export function readHdf5(bytes: Uint8Array, label: string, only?: string): Promise<Hdf5Content> {
  const thread = join(__dirname, 'hdf5-thread.js');
  if (!existsSync(thread)) return readHdf5Here(bytes, label, only);
  const worker = new Worker(thread, { workerData: { bytes, label, only } satisfies Hdf5Request });
  return new Promise<Hdf5Content>((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    worker.on('message', (answer: Hdf5Answer) => {
      if ('content' in answer) resolve(answer.content);
      else if ('message' in answer) reject(new UserError(answer.message, answer.hint));
      else {
        const start = process.cpuUsage();
        const most = PATIENCE.file + (PATIENCE.megabyte * bytes.byteLength) / 2 ** 20;
        timer = setInterval(() => {
          const { user, system } = process.cpuUsage(start);
          if ((user + system) / 1000 > most) reject(damaged(label, undefined));
        }, 200);
      }
    });
    worker.on('error', (cause) => reject(damaged(label, cause)));
    worker.on('exit', () => {
      clearInterval(timer);
      reject(damaged(label, undefined));
    });
  }).finally(() => worker.terminate());
}
