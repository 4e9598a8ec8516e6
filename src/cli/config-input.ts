/** From what stands on the command line (a model or a config file, and options that change it) to a whole config. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { parse as parseJson } from 'jsonc-parser';
import { isImageFolder, isLabelledFolder } from '../engine/data/image-folder';
import { UserError } from '../engine/errors';
import { HEAD_BYTES, isTfjsText } from '../engine/formats/format';
import type { Config } from '../protocol/config';
import { DATA_NAMES, type DataName } from '../protocol/config/names';
import { parseConfigText } from '../protocol/config-file';
import { ConfigError } from './failures';

/** Options that several commands share. */
export interface ConfigOptions {
  /** Each a known name, a folder of data sets, or a file. */
  readonly data?: readonly string[];
  readonly goal?: string;
  readonly method?: string;
  readonly episodes?: string;
  readonly timeLimit?: string;
  readonly seed?: string;
  readonly out?: string;
  readonly dequantize?: boolean;
  /** Each `field.path=value`, the value as JSON or else as text. */
  readonly set?: readonly string[];
}

export interface ConfigInput {
  readonly config: Config;
  /** Folder that the config's paths are relative to. */
  readonly folder: string;
  /** Absent where a model stood on the command line. */
  readonly configPath?: string;
  /** What `--data` named, where that was a folder. */
  readonly dataFolder?: string;
  /** Things worth saying. */
  readonly notes: readonly string[];
}

type JsonObject = { [key: string]: unknown };

const GOAL_FIELDS: Readonly<Record<string, string>> = {
  flops: 'flops',
  macs: 'flops',
  params: 'params',
  bytes: 'bytes',
  latency: 'latency',
  drop: 'maxAccuracyDrop',
};

export const isConfigPath = (path: string): boolean => /\.jsonc?$/i.test(path) && !isTfjsFile(path);

/** True for a TensorFlow.js model, which is a JSON file as configs are. */
function isTfjsFile(path: string): boolean {
  if (!existsSync(path) || !statSync(path).isFile()) return false;
  return isTfjsText(readFileSync(path, 'utf8').slice(0, HEAD_BYTES));
}

/** A config file as read. @throws ConfigError, UserError */
export function readConfigFile(path: string): Config {
  return read(readText(path), path);
}

function read(text: string, file: string): Config {
  const { config, problems } = parseConfigText(text);
  if (!config) throw new ConfigError(file, problems);
  return config;
}

function readText(path: string): string {
  if (!existsSync(path))
    throw new UserError(
      `${path}: no such file`,
      'Name a model (.onnx, .h5, .keras, model.json, SavedModel folder) or a config (.espalier.json).',
    );
  if (!statSync(path).isFile()) throw new UserError(`${path} is not a file`, 'Name a model (.onnx) or a config (.espalier.json).');
  return readFileSync(path, 'utf8');
}

/**
 * The config of a command. A model alone gets the defaults; options go over what the config says.
 * @param chooseData finds the data set in a folder that suits a model, where neither config nor options name one
 * @throws ConfigError with every problem of the file; UserError where an option is wrong
 */
export async function configFrom(
  path: string,
  options: ConfigOptions,
  chooseData: (modelPath: string, dataFolder: string | undefined) => Promise<{ name: string; note?: string }>,
): Promise<ConfigInput> {
  const isConfig = isConfigPath(path);
  const folder = isConfig ? dirname(resolve(path)) : process.cwd();
  let object: JsonObject;
  if (isConfig) {
    const text = readText(path);
    read(text, path);
    object = parseJson(text.replace(/^\uFEFF/, ''), [], { allowTrailingComma: true }) as JsonObject;
  } else {
    if (!existsSync(path)) throw new UserError(`${path}: no such file`, 'Name a model (.onnx) or a config (.espalier.json).');
    object = { model: resolve(path) };
  }
  const notes: string[] = [];
  applyOptions(object, options);
  const { name, file, dataFolder } = sortData(options.data ?? []);
  if (object['data'] === undefined) object['data'] = {};
  const data = object['data'] as JsonObject;
  if (name !== undefined) {
    delete data['files'];
    data['name'] = name;
  } else if (file !== undefined) {
    delete data['name'];
    delete data['folder'];
    data['files'] = holdsInputsOnly(file) ? { inputs: file } : { train: file };
  } else if (data['name'] === undefined && data['files'] === undefined && (!isConfig || dataFolder !== undefined)) {
    const chosen = await chooseData(resolve(folder, String(object['model'])), dataFolder);
    data['name'] = chosen.name;
    if (chosen.note) notes.push(chosen.note);
  }
  if (dataFolder !== undefined) delete data['folder'];
  const { config, problems } = parseConfigText(JSON.stringify(object));
  if (!config) throw new UserError(`${problems[0].message} (from the command line's options)`, 'See `espalier compress --help`.');
  return { config, folder, configPath: isConfig ? resolve(path) : undefined, dataFolder, notes };
}

/** True for samples without labels: an npy file, and images without folders or a table that name their classes. */
const holdsInputsOnly = (path: string): boolean => (statSync(path).isDirectory() ? !isLabelledFolder(path) : path.endsWith('.npy'));

const isDataName = (text: string): text is DataName => (DATA_NAMES as readonly string[]).includes(text);

function sortData(entries: readonly string[]): { name?: string; file?: string; dataFolder?: string } {
  const sorted: { name?: string; file?: string; dataFolder?: string } = {};
  for (const entry of entries) {
    if (isDataName(entry)) sorted.name = entry;
    else if (!existsSync(entry)) {
      throw new UserError(
        `--data ${entry}: there is no such folder or file, and no data set of that name`,
        `Known names: ${DATA_NAMES.join(', ')}; or the folder that holds them.`,
      );
    } else if (statSync(entry).isDirectory() && !isImageFolder(entry)) sorted.dataFolder = resolve(entry);
    else sorted.file = resolve(entry);
  }
  return sorted;
}

function applyOptions(object: JsonObject, options: ConfigOptions): void {
  for (const part of options.goal?.split(',') ?? []) {
    const [key, value] = split(part, '--goal');
    const field = GOAL_FIELDS[key];
    if (!field)
      throw new UserError(
        `--goal: there is no goal '${key}'`,
        `Goals: ${Object.keys(GOAL_FIELDS).join(', ')}; e.g. --goal flops=0.5,drop=0.01.`,
      );
    setField(object, ['goal', field], number(value, `--goal ${key}`));
  }
  if (options.method !== undefined) object['method'] = options.method;
  if (options.episodes !== undefined) setField(object, ['search', 'episodes'], number(options.episodes, '--episodes'));
  if (options.timeLimit !== undefined) setField(object, ['search', 'timeLimit'], durationValue(options.timeLimit));
  if (options.seed !== undefined) setField(object, ['seed'], number(options.seed, '--seed'));
  if (options.dequantize) setField(object, ['dequantize'], true);
  if (options.out !== undefined) setField(object, ['output', 'folder'], resolve(options.out));
  for (const entry of options.set ?? []) {
    const [path, value] = split(entry, '--set');
    setField(object, path.split('.'), jsonValue(value));
  }
}

function split(text: string, option: string): [string, string] {
  const at = text.indexOf('=');
  if (at <= 0)
    throw new UserError(
      `${option}: '${text}' is not of the form name=value`,
      `For example ${option} ${option === '--goal' ? 'flops=0.5' : 'search.episodes=20'}.`,
    );
  return [text.slice(0, at).trim(), text.slice(at + 1).trim()];
}

function number(text: string, option: string): number {
  const value = Number(text);
  if (text.trim() === '' || !Number.isFinite(value)) throw new UserError(`${option} takes a number, not '${text}'`);
  return value;
}

const durationValue = (text: string): number | string => (/^\d+(\.\d+)?$/.test(text) ? Number(text) : text);

function jsonValue(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function setField(object: JsonObject, path: readonly string[], value: unknown): void {
  let at = object;
  for (const key of path.slice(0, -1)) {
    const next = at[key];
    // A short form such as "method": "uniform" makes room for its long form.
    if (typeof next !== 'object' || next === null) at[key] = key === 'method' && typeof next === 'string' ? { name: next } : {};
    at = at[key] as JsonObject;
  }
  at[path[path.length - 1]] = value;
}

/** A model's name without folder and ending. */
export const modelName = (path: string): string => basename(path).replace(/\.[^.]*$/, '');
