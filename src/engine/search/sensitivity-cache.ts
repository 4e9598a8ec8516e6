/** Measured points of sensitivity scans on disk: one append-only file for each content (model, samples, settings). */
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Sensitivity, SensitivityConditions } from '../../protocol/layer-graph';
import { diskError } from './atomic-file';

export interface CacheHeader {
  readonly modelPath: string;
  /** SHA-256 of the model's file. */
  readonly sha256: string;
  readonly images: number;
  readonly measure: 'accuracy' | 'agreement';
  /** Absent in files of older versions. */
  readonly conditions?: SensitivityConditions;
  /** Hash of everything that points depend on. */
  readonly key: string;
}

/** A measured point as it is kept. */
export interface CachePoint {
  readonly key: string;
  readonly accuracy: number;
  /** The ratio that was asked for, of a group's point; the width that it was rounded to stands in the key. */
  readonly ratio?: number;
}

export class SensitivityCache {
  private readonly points = new Map<string, number>();
  private stored?: CacheHeader;

  private constructor(
    private readonly path: string | undefined,
    private readonly header: CacheHeader,
  ) {
    if (!path || !existsSync(path)) return;
    const lines = readLines(path);
    this.stored = headerOf(lines);
    for (const { key, accuracy } of pointsOf(lines)) this.points.set(key, accuracy);
  }

  /** @param folder absent: nothing is written */
  static open(folder: string | undefined, header: CacheHeader): SensitivityCache {
    return new SensitivityCache(folder && join(folder, `${header.sha256.slice(0, 16)}-${header.key.slice(0, 16)}.jsonl`), header);
  }

  get(key: string): number | undefined {
    return this.points.get(key);
  }

  /** What the points were measured with: as the file says, where the scan was begun earlier. */
  get conditions(): SensitivityConditions | undefined {
    return this.stored ? this.stored.conditions : this.header.conditions;
  }

  put(entries: readonly CachePoint[]): void {
    for (const { key, accuracy } of entries) this.points.set(key, accuracy);
    if (!this.path) return;
    try {
      let text = '';
      if (!existsSync(this.path)) {
        mkdirSync(join(this.path, '..'), { recursive: true });
        text = `${JSON.stringify({ header: this.header })}\n`;
      } else if (!readFileSync(this.path, 'utf8').endsWith('\n')) text = '\n';
      for (const entry of entries) text += `${JSON.stringify(entry)}\n`;
      appendFileSync(this.path, text);
    } catch (cause) {
      throw diskError(this.path, cause);
    }
  }

  clear(): void {
    this.points.clear();
    this.stored = undefined;
    if (this.path) rmSync(this.path, { force: true });
  }
}

type Line = { readonly header?: CacheHeader } & Partial<CachePoint>;

/** Lines that are whole; one cut short by a kill is left out. */
function readLines(path: string): Line[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((line) => {
      try {
        return [JSON.parse(line)];
      } catch {
        return [];
      }
    });
}

const headerOf = (lines: readonly Line[]): CacheHeader | undefined => lines.find((l) => l.header)?.header;

const pointsOf = (lines: readonly Line[]): CachePoint[] =>
  lines.flatMap(({ key, accuracy, ratio }) => (key !== undefined && accuracy !== undefined ? [{ key, accuracy, ratio }] : []));

/**
 * The newest cached scan of a model file, without evaluating anything; undefined where there is none.
 * @param channels of each group; a point without the ratio that was asked for gets the share of them that is removed
 */
export function cachedSensitivity(folder: string, sha256: string, channels: ReadonlyMap<string, number>): Sensitivity | undefined {
  if (!existsSync(folder)) return undefined;
  const files = readdirSync(folder)
    .filter((name) => name.startsWith(sha256.slice(0, 16)) && name.endsWith('.jsonl'))
    .map((name) => join(folder, name))
    .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs);
  for (const path of files) {
    const lines = readLines(path);
    const header = headerOf(lines);
    const points = new Map(pointsOf(lines).map((p) => [p.key, p]));
    const baseline = points.get('baseline')?.accuracy;
    if (!header || baseline === undefined) continue;
    const groups = new Map<string, Array<{ ratio: number; channels: number; accuracy: number }>>();
    const layers = new Map<string, Array<{ bits: number; accuracy: number }>>();
    for (const { key, accuracy, ratio } of points.values()) {
      const [, kind, name, amount] = /^(group|layer):(.*):(\d+)$/s.exec(key) ?? [];
      if (kind === 'layer') add(layers, name, { bits: Number(amount), accuracy });
      else if (kind === 'group') {
        const all = channels.get(name);
        if (all) add(groups, name, { ratio: ratio ?? 1 - Number(amount) / all, channels: Number(amount), accuracy });
      }
    }
    const done = points.size - 1;
    return {
      modelPath: header.modelPath,
      sha256,
      baseline,
      images: header.images,
      measure: header.measure,
      conditions: header.conditions,
      groups: [...groups].map(([group, list]) => ({ group, points: list.sort((a, b) => a.ratio - b.ratio) })),
      layers: [...layers].map(([layer, list]) => ({ layer, points: list.sort((a, b) => a.bits - b.bits) })),
      done,
      total: done,
      seconds: 0,
    };
  }
  return undefined;
}

function add<T>(map: Map<string, T[]>, key: string, value: T): void {
  const list = map.get(key);
  if (list) list.push(value);
  else map.set(key, [value]);
}
