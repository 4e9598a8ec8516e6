/** The folder of a run: where everything of it lies, and how it is found again. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { deserialize, serialize } from 'node:v8';
import { UserError } from '../errors';
import { diskError, TEMPORARY, writeFileAtomic } from './atomic-file';

/** What folders about a model are called: its file's name, without the ending and without what a file system may refuse. */
export function modelName(modelPath: string): string {
  // Every TensorFlow.js model is a model.json, every SavedModel a saved_model.pb: their folders tell them apart.
  const file = basename(modelPath);
  const named = file === 'model.json' || file === 'saved_model.pb' ? basename(dirname(resolve(modelPath))) : file.replace(/\.[^.]*$/, '');
  return named.replaceAll(/[^\w.-]/g, '_') || 'model';
}

export class RunFolder {
  constructor(readonly path: string) {}

  /** Makes a new folder `<parent>/<model name>-<date>-<time>`, with a number behind it where that is taken. */
  static create(parent: string, modelPath: string, now: Date): RunFolder {
    const stamp = now.toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');
    const name = modelName(modelPath);
    for (let i = 1; ; i++) {
      const path = resolve(parent, `${name}-${stamp}${i > 1 ? `-${i}` : ''}`);
      if (existsSync(path)) continue;
      try {
        mkdirSync(join(path, 'checkpoint'), { recursive: true });
        mkdirSync(join(path, 'best'), { recursive: true });
      } catch (cause) {
        throw diskError(path, cause);
      }
      return new RunFolder(path);
    }
  }

  /** An existing run. @throws UserError where there is none */
  static open(path: string): RunFolder {
    const folder = new RunFolder(resolve(path));
    if (!existsSync(folder.config) || !existsSync(folder.journal)) {
      throw new UserError(`${path} is not a run folder: it has no config.json and journal.jsonl`, 'List the runs with `espalier runs`.');
    }
    return folder;
  }

  get id(): string {
    return basename(this.path);
  }
  get config(): string {
    return join(this.path, 'config.json');
  }
  get journal(): string {
    return join(this.path, 'journal.jsonl');
  }
  get report(): string {
    return join(this.path, 'report.md');
  }
  get lock(): string {
    return join(this.path, 'run.lock');
  }
  checkpoint(name: string): string {
    return join(this.path, 'checkpoint', name);
  }
  best(name: string): string {
    return join(this.path, 'best', name);
  }

  writeJson(path: string, value: unknown): void {
    writeFileAtomic(path, `${JSON.stringify(value, null, 1)}\n`);
  }

  /** Plain data with typed arrays in it, which JSON would blow up. */
  writeBinary(path: string, value: unknown): void {
    writeFileAtomic(path, serialize(value));
  }

  /** What `writeBinary` wrote, or undefined where it is not there or cannot be read. */
  readBinary<T>(path: string): T | undefined {
    if (!existsSync(path)) return undefined;
    try {
      return deserialize(readFileSync(path)) as T;
    } catch {
      return undefined;
    }
  }

  /** Removes a file that is no longer needed. */
  discard(path: string): void {
    rmSync(path, { force: true });
  }

  /** Removes what a killed process was writing. */
  sweep(): void {
    for (const folder of [this.path, join(this.path, 'checkpoint'), join(this.path, 'best')]) {
      if (!existsSync(folder)) continue;
      for (const name of readdirSync(folder)) if (name.endsWith(TEMPORARY)) this.discard(join(folder, name));
    }
  }

  /** A JSON file of this run, or undefined where it is not there or was damaged. */
  readJson<T>(path: string): T | undefined {
    if (!existsSync(path)) return undefined;
    try {
      return JSON.parse(readFileSync(path, 'utf8')) as T;
    } catch {
      return undefined;
    }
  }
}

/** Run folders below some parents, newest first. */
export function listRunFolders(parents: readonly string[]): RunFolder[] {
  const found: Array<{ folder: RunFolder; time: number }> = [];
  for (const parent of parents) {
    if (!statSync(parent, { throwIfNoEntry: false })?.isDirectory()) continue;
    for (const name of readdirSync(parent)) {
      const folder = new RunFolder(resolve(parent, name));
      if (existsSync(folder.journal)) found.push({ folder, time: statSync(folder.journal).mtimeMs });
    }
  }
  return found.sort((a, b) => b.time - a.time).map((f) => f.folder);
}
