/**
 * CSV and TSV files (RFC 4180: quotes, doubled quotes, line breaks within quotes): numeric features, token ids in rows of any length, labels in columns of
 * their own, as class numbers, words or values.
 */
import { basename } from 'node:path';
import { UserError } from '../errors';
import { numbered } from './class-names';
import type { Dataset, SampleField } from './dataset';
import { readDataFile } from './files';

/** What a model input takes, as far as data is concerned. */
export interface InputForm {
  readonly name: string;
  /** Without the batch; text and −1 are lengths not known. */
  readonly shape?: ReadonlyArray<number | string>;
  /** True for token ids and other whole numbers. */
  readonly whole: boolean;
}

export interface CsvSettings {
  /** Column with the label, by name or number from 0 (negative from the end); several for multi-label and regression. Default: one called label, class, target or y. */
  readonly label?: string | number | ReadonlyArray<string | number>;
  /** Columns that are left out. */
  readonly ignore?: ReadonlyArray<string | number>;
  /** Whether the first line names the columns; default: where a cell of it is no number. */
  readonly header?: boolean;
  /** Fills rows of token ids up to the longest. Default 0. */
  readonly padding?: number;
  /** Token ids a row, where the model leaves it open; longer rows are cut. */
  readonly length?: number;
}

const LABEL_NAMES = ['label', 'labels', 'class', 'target', 'y'];

/** Cells of a delimited text. The separator is the one of comma, semicolon and tab that the first line has most of. */
export function parseDelimited(text: string, name: string): string[][] {
  const body = text.replace(/^\uFEFF/, '');
  const line = body.slice(0, body.search(/[\r\n]|$/));
  const separator = [',', ';', '\t'].reduce((a, b) => (line.split(b).length > line.split(a).length ? b : a));
  const rows: string[][] = [];
  let row: string[] = [];
  let cell = '';
  let quoted = false;
  const endCell = (): void => {
    row.push(cell);
    cell = '';
  };
  const endRow = (): void => {
    endCell();
    if (row.length > 1 || row[0].trim() !== '') rows.push(row);
    row = [];
  };
  for (let i = 0; i < body.length; i++) {
    const c = body[i];
    if (quoted) {
      if (c !== '"') cell += c;
      else if (body[i + 1] === '"') {
        cell += '"';
        i++;
      } else quoted = false;
    } else if (c === '"' && cell.trim() === '') {
      cell = '';
      quoted = true;
    } else if (c === separator) endCell();
    else if (c === '\n') endRow();
    else if (c !== '\r') cell += c;
  }
  if (quoted) throw new UserError(`${name} ends within a quoted cell.`, 'Close the quote, or save the file again.');
  if (cell !== '' || row.length > 0) endRow();
  return rows;
}

const isNumber = (cell: string): boolean => cell.trim() !== '' && Number.isFinite(Number(cell));
const areNumbers = (cell: string): boolean => cell.trim().split(/\s+/).every(isNumber);

interface Table {
  readonly name: string;
  readonly header?: readonly string[];
  readonly rows: readonly string[][];
}

/** Cells of a file, with the names of its columns where the first line has them. @throws UserError where there are no rows */
export function readTable(path: string, header?: boolean): Table {
  const name = basename(path);
  const all = parseDelimited(new TextDecoder().decode(readDataFile(path)), path);
  const named = header ?? namesColumns(all);
  const rows = named ? all.slice(1) : all;
  if (rows.length === 0) throw new UserError(`${path} has no rows of data.`, 'Check the file.');
  return { name, header: named ? all[0].map((c) => c.trim()) : undefined, rows };
}

/** True where the first line names the columns: words above numbers, or a usual name of the label. */
const namesColumns = ([first = [], second = []]: readonly string[][]): boolean =>
  first.some((cell, c) => !areNumbers(cell) && (LABEL_NAMES.includes(cell.trim().toLowerCase()) || areNumbers(second[c] ?? '')));

/** The number of a column. @throws UserError where there is none of that name */
export function columnOf(table: Table, column: string | number, width: number): number {
  if (typeof column === 'number') {
    const index = column < 0 ? width + column : column;
    if (index >= 0 && index < width) return index;
    throw new UserError(`${table.name} has no column ${column}; it has ${width}.`, 'Columns count from 0, or from −1 at the end.');
  }
  const index = table.header?.indexOf(column) ?? -1;
  if (index >= 0) return index;
  throw new UserError(
    `${table.name} has no column called '${column}' (${table.header ? `it has ${table.header.slice(0, 12).join(', ')}` : 'its first line names none'}).`,
    'Name another in "data.csv", or give its number.',
  );
}

/**
 * A data set from a CSV file. Cells may hold several numbers, separated by spaces. Where the model takes whole numbers the rows are token ids, padded at the
 * end; inputs called mask, and token types, are then made from them.
 * @throws UserError naming the line and column of what is no number, or rows of different length
 */
export function readCsvDataset(path: string, settings: CsvSettings = {}, inputs: readonly InputForm[] = []): Dataset {
  const table = readTable(path, settings.header);
  const width = table.header?.length ?? table.rows[0].length;
  const labelColumns = labelColumnsOf(table, settings, width);
  const left = new Set([...labelColumns, ...(settings.ignore ?? []).map((c) => columnOf(table, c, width))]);
  const features = table.rows.map((row, r) => numbersOf(table, row, r, left));
  const tokens = inputs.find((i) => i.whole && !isMask(i) && !isTokenType(i)) !== undefined;
  const sample = tokens ? tokenRows(table, features, settings, inputs) : featureRows(table, features, inputs);
  return { name: table.name, count: table.rows.length, ...sample, ...labelsOf(table, labelColumns) };
}

const isMask = (i: InputForm): boolean => /mask/i.test(i.name);
const isTokenType = (i: InputForm): boolean => /token_?type|segment/i.test(i.name);

function labelColumnsOf(table: Table, { label }: CsvSettings, width: number): number[] {
  if (label !== undefined) return (Array.isArray(label) ? label : [label]).map((c) => columnOf(table, c as string | number, width));
  const index = table.header?.findIndex((name) => LABEL_NAMES.includes(name.toLowerCase())) ?? -1;
  return index < 0 ? [] : [index];
}

const lineOf = (table: Table, row: number): number => row + (table.header ? 2 : 1);

function numbersOf(table: Table, row: readonly string[], r: number, left: ReadonlySet<number>): number[] {
  const out: number[] = [];
  row.forEach((cell, c) => {
    if (left.has(c)) return;
    for (const piece of cell.trim().split(/\s+/)) {
      // An empty cell at the end of a row of tokens is no token.
      if (piece === '') continue;
      const value = Number(piece);
      if (!Number.isFinite(value)) {
        throw new UserError(
          `${table.name}, line ${lineOf(table, r)}, column ${table.header?.[c] ?? c}: '${piece.slice(0, 40)}' is not a number.`,
          'Leave the column out with "data.csv.ignore", or name it as "data.csv.label".',
        );
      }
      out.push(value);
    }
  });
  return out;
}

function featureRows(
  table: Table,
  features: ReadonlyArray<readonly number[]>,
  inputs: readonly InputForm[],
): Pick<Dataset, 'shape' | 'inputs'> {
  const size = features[0].length;
  features.forEach((row, r) => {
    if (row.length !== size || size === 0) {
      throw new UserError(
        `${table.name}, line ${lineOf(table, r)} has ${row.length} numbers, but line ${lineOf(table, 0)} has ${size}.`,
        'Every row needs the same features; leave incomplete ones out.',
      );
    }
  });
  const values = new Float32Array(features.length * size);
  features.forEach((row, r) => void values.set(row, r * size));
  // Pixels in columns are images again where the model takes so many.
  const wanted = inputs.length === 1 ? inputs[0].shape : undefined;
  const fits = wanted?.every((d) => typeof d === 'number' && d > 0) && (wanted as number[]).reduce((a, b) => a * b, 1) === size;
  return { shape: fits ? (wanted as number[]) : [size], inputs: values };
}

function tokenRows(
  table: Table,
  features: ReadonlyArray<readonly number[]>,
  { padding = 0, length }: CsvSettings,
  inputs: readonly InputForm[],
): Pick<Dataset, 'shape' | 'fields' | 'inputs'> {
  const whole = inputs.find((i) => i.whole && !isMask(i) && !isTokenType(i))!;
  const stated = whole.shape?.[0];
  const size =
    length ?? (typeof stated === 'number' && stated > 0 ? stated : features.reduce((most, row) => Math.max(most, row.length), 1));
  const rowSize = size * inputs.length;
  const values = new Float32Array(features.length * rowSize);
  const fields = inputs.map((i): SampleField => ({ name: i.name, shape: [size] }));
  features.forEach((row, r) => {
    const bad = row.find((v) => !Number.isInteger(v) || v < 0);
    if (bad !== undefined) {
      throw new UserError(
        `${table.name}, line ${lineOf(table, r)}: ${bad} is no token id, which the model's input '${whole.name}' takes.`,
        'Token ids are whole numbers from 0.',
      );
    }
    inputs.forEach((input, k) => {
      const at = r * rowSize + k * size;
      for (let i = 0; i < size; i++) {
        if (isTokenType(input)) values[at + i] = 0;
        else if (isMask(input)) values[at + i] = i < row.length ? 1 : 0;
        else values[at + i] = i < row.length ? row[i] : padding;
      }
    });
  });
  return inputs.length === 1 ? { shape: [size], inputs: values } : { shape: [rowSize], fields, inputs: values };
}

function labelsOf(table: Table, columns: readonly number[]): Pick<Dataset, 'labels' | 'classes' | 'classNames' | 'targets'> {
  if (columns.length === 0) return {};
  const cells = columns.map((c) => table.rows.map((row) => (row[c] ?? '').trim()));
  cells.forEach((column, k) => {
    const empty = column.indexOf('');
    if (empty >= 0)
      throw new UserError(
        `${table.name}, line ${lineOf(table, empty)} has no label in column ${table.header?.[columns[k]] ?? columns[k]}.`,
        'Give every row its label.',
      );
  });
  if (columns.length === 1 && (!cells[0].every(isNumber) || cells[0].every((v) => /^\d{1,6}$/.test(v)))) return numbered(cells[0]);
  const count = table.rows.length;
  const values = new Float32Array(count * columns.length);
  cells.forEach((column, c) => {
    column.forEach((cell, r) => {
      if (!isNumber(cell))
        throw new UserError(
          `${table.name}, line ${lineOf(table, r)}, column ${table.header?.[columns[c]] ?? columns[c]}: '${cell.slice(0, 40)}' is not a number.`,
          'Several label columns hold numbers: 0 and 1 for classes, or values.',
        );
      values[r * columns.length + c] = Number(cell);
    });
  });
  return { targets: { outputs: [{ width: columns.length, values }] } };
}
