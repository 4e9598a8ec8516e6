/**
 * Cells of comparisons that were measured once and are kept in the repository, one JSON object a line: a table of many methods and seeds takes
 * days of two cores, and grows from session to session. A cell counts as long as what it was asked for is the same; whoever changes a method
 * deletes its lines (or passes `--fresh`), and the command measures them anew.
 */
import { createHash } from 'node:crypto';
import { appendFileSync, existsSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { type CellFailure, type CellResult, canonical } from '../src/engine/compare/cell';
import { thisMachine } from '../src/engine/search/recorder';
import type { ConfigInput } from '../src/protocol/config';

export interface KeptCell {
  readonly net: string;
  /** Of what was asked for, method and seed apart. */
  readonly settings: string;
  /** The day it was written down. */
  readonly date: string;
  readonly machine: string;
  /** Without the run's folder, which is another on every machine. */
  readonly result: CellResult | CellFailure;
}

/** Tells whether two cells were asked for alike. Defaults are left out, so that a setting that is new later changes nothing. */
export function settingsOf(config: ConfigInput): string {
  const { model: _, ...rest } = config;
  return createHash('sha256').update(canonical(rest)).digest('hex').slice(0, 12);
}

export class KeptCells {
  private readonly cells: KeptCell[];

  /** @param path of the file; it need not be there yet */
  constructor(private readonly path: string) {
    const lines = existsSync(path) ? readFileSync(path, 'utf8').split(/\r?\n/) : [];
    this.cells = lines.filter((line) => line.trim() !== '').map((line): KeptCell => JSON.parse(line));
  }

  /** All cells of these methods that were asked for like this; of those measured more than once, the last. */
  of(net: string, settings: string, methods: readonly string[]): KeptCell[] {
    const found = this.cells.filter((c) => c.net === net && c.settings === settings && methods.includes(c.result.method));
    return [...new Map(found.map((c) => [`${c.result.method} ${c.result.seed}`, c])).values()];
  }

  /** Writes a cell down at once. */
  add(net: string, settings: string, result: CellResult | CellFailure): KeptCell {
    const { cpu, cores, platform, architecture } = thisMachine();
    const cell: KeptCell = {
      net,
      settings,
      date: new Date().toISOString().slice(0, 10),
      machine: `${cpu}, ${cores} cores, ${platform} ${architecture}, Node ${process.versions.node}`,
      result: 'error' in result ? result : { ...result, run: '' },
    };
    this.cells.push(cell);
    mkdirSync(dirname(this.path), { recursive: true });
    appendFileSync(this.path, `${JSON.stringify(cell, rounded)}\n`);
    return cell;
  }
}

/** Six digits tell all that was measured. */
const rounded = (_key: string, value: unknown): unknown =>
  typeof value === 'number' && !Number.isInteger(value) ? Number(value.toPrecision(6)) : value;
