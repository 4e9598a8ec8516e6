/** What every benchmark shares: arguments, rows on standard output, medians. */
import { join } from 'node:path';
import { spread } from '../src/engine/compare/summary';
import { normalizations } from '../src/engine/data/normalize';

export interface BenchArguments {
  /** Folder with data sets and models (`--data` or ESPALIER_DATA). */
  readonly data?: string;
  readonly seeds: number;
  readonly json: boolean;
  /** Everything else: `--name value`. */
  readonly options: Readonly<Record<string, string>>;
}

/** Paths of the bundled worker threads, which lie beside the benchmark's own bundle. */
export const threadFiles = { actor: join(__dirname, 'actor-thread.js'), augment: join(__dirname, 'augment-thread.js') };

export function parseArguments(args: readonly string[], env = process.env): BenchArguments {
  const options: Record<string, string> = {};
  for (let i = 0; i < args.length; i++) {
    if (!args[i].startsWith('--')) continue;
    const name = args[i].slice(2);
    if (i + 1 < args.length && !args[i + 1].startsWith('--')) options[name] = args[++i];
    else options[name] = 'true';
  }
  return { data: options['data'] ?? env['ESPALIER_DATA'], seeds: Number(options['seeds'] ?? 3), json: options['json'] === 'true', options };
}

/** @throws Error saying what to pass */
export function dataFolder(args: BenchArguments): string {
  if (!args.data) throw new Error('this benchmark needs data: pass --data DIR or set ESPALIER_DATA');
  return args.data;
}

/** One row: an object a line with --json, else `key value` pairs; notes go to standard error. */
export function printRow(args: BenchArguments, row: Readonly<Record<string, string | number>>): void {
  if (args.json) console.log(JSON.stringify(row));
  else
    console.log(
      Object.entries(row)
        .map(([k, v]) => `${k} ${typeof v === 'number' ? round(v) : v}`)
        .join('   '),
    );
}

export const note = (text: string): void => console.error(text);

const round = (x: number): number => (Number.isInteger(x) ? x : Number(x.toPrecision(5)));

/** The median; of an even number the mean of the middle two. @param values at least one */
export const median = (values: readonly number[]): number => spread(values).median;

const { scale, mean, std } = normalizations.imagenet;
/** Normalisation that the CIFAR-10 networks of the data folder were trained with, as a config has it. */
export const IMAGENET = { scale, mean: [...mean], std: [...std] };
