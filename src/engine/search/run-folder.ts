/** The folder of a run: where everything of it lies, and how it is found again. */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { UserError } from '../errors';
import { diskError, writeFileAtomic } from './atomic-file';

export class RunFolder {
  constructor(readonly path: string) {}

  /** Makes a new folder `<parent>/<model name>-<date>-<time>`, with a number behind it where that is taken. */
  static create(parent: string, modelPath: string, now: Date): RunFolder {
    const stamp = now.toISOString().slice(0, 19).replaceAll(/[-:]/g, '').replace('T', '-');
    const name =
      basename(modelPath)
        .replace(/\.[^.]*$/, '')
        .replaceAll(/[^\w.-]/g, '_') || 'model';
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
  checkpoint(name: string): string {
    return join(this.path, 'checkpoint', name);
  }
  best(name: string): string {
    return join(this.path, 'best', name);
  }

  writeJson(path: string, value: unknown): void {
    writeFileAtomic(path, `${JSON.stringify(value, null, 1)}\n`);
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
    if (!existsSync(parent)) continue;
    for (const name of readdirSync(parent)) {
      const folder = new RunFolder(resolve(parent, name));
      if (existsSync(folder.journal)) found.push({ folder, time: statSync(folder.journal).mtimeMs });
    }
  }
  return found.sort((a, b) => b.time - a.time).map((f) => f.folder);
}
