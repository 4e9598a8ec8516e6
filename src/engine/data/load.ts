/** The data that a config names, read as the model takes it. */
import { existsSync, statSync } from 'node:fs';
import { extname, resolve } from 'node:path';
import type { DataSettings } from '../../protocol/config';
import { UserError } from '../errors';
import { Random } from '../random';
import { withSharedClasses } from './class-names';
import { type InputForm, readCsvDataset } from './csv';
import type { DataSource, Dataset, Normalization } from './dataset';
import { type ImageFolderOptions, type ImageSettings, isImageFolder, readImageFolder } from './image-folder';
import { type DataSpec, locateDataset } from './locate';
import { type Preprocessing, preprocessingText } from './model-preprocessing';
import { normalizations } from './normalize';

/** What the model says of its inputs; absent where there is none yet (`espalier train`). */
export interface DataForm {
  readonly inputs: readonly InputForm[];
  readonly outputs: readonly string[];
  /** Pre-processing that its file states. */
  readonly preprocessing?: Preprocessing;
}

export interface LoadOptions {
  /** Folder that the config's paths are relative to. */
  readonly folder: string;
  /** What `--data` named. */
  readonly dataFolder?: string;
  readonly signal?: AbortSignal;
}

type FileEntry = NonNullable<NonNullable<DataSettings['files']>['train']>;
type Use = 'train' | 'test' | 'inputs';

/** @throws UserError naming the file or field and the next step */
export async function loadData(data: DataSettings, options: LoadOptions, form?: DataForm): Promise<DataSource> {
  const source = await readSource(data, options, form);
  return data.normalization === undefined ? withStatedNormalization(source, form?.preprocessing) : source;
}

async function readSource(data: DataSettings, options: LoadOptions, form?: DataForm): Promise<DataSource> {
  const dataFolder = data.folder !== undefined ? resolve(options.folder, data.folder) : options.dataFolder;
  const located = (spec: DataSpec): DataSource => locateDataset(spec, { dataFolder, baseFolder: options.folder, form });
  const { files } = data;
  if (!files) return located(data.name === undefined || data.name === 'digits' ? { digits: data.digits } : data.name);
  if (files.inputs !== undefined) {
    const source = (await readTabular(files.inputs, 'inputs', data, options, form)) ?? located(files.inputs);
    // Inputs alone are a test part: nothing is trained on them.
    return { ...source, train: undefined, test: unlabelled((source.test ?? source.train)!) };
  }
  const read = (entry: FileEntry | undefined, use: Use): Promise<DataSource | undefined> =>
    entry === undefined ? Promise.resolve(undefined) : readTabular(entry, use, data, options, form);
  const [train, test] = [await read(files.train, 'train'), files.test === files.train ? undefined : await read(files.test, 'test')];
  if (train || test) {
    const rest = (entry: FileEntry | undefined, other: DataSource | undefined, use: Use): DataSource | undefined => {
      if (entry === undefined || other) return other;
      if (typeof entry === 'string') return located(entry);
      return located(use === 'train' ? { train: entry } : { test: entry });
    };
    const [a, b] = [rest(files.train, train, 'train'), rest(files.test === files.train ? undefined : files.test, test, 'test')];
    return joined(a, b);
  }
  // A single path is an archive or folder that names its own parts.
  if (typeof files.train === 'string' && (files.test === undefined || files.test === files.train)) return located(files.train);
  if (typeof files.test === 'string' && files.train === undefined) return located(files.test);
  if (typeof files.train === 'string' && typeof files.test === 'string') return joined(located(files.train), located(files.test));
  return located({
    train: files.train as { inputs: string; labels?: string },
    test: files.test as { inputs: string; labels?: string },
  });
}

function joined(a: DataSource | undefined, b: DataSource | undefined): DataSource {
  if (!a || !b) return (a ?? b)!;
  const train = a.train ?? a.test;
  const test = b.test ?? b.train;
  const notes = [...(a.notes ?? []), ...(b.notes ?? [])];
  if (!train || !test) return { ...a, train, test, notes };
  if (train.shape.join() !== test.shape.join()) {
    throw new UserError(
      `${train.name} has samples of shape ${train.shape.join('×')}, but ${test.name} of shape ${test.shape.join('×')}.`,
      'Both parts must have samples of one shape.',
    );
  }
  const [x, y] = withSharedClasses(train, test);
  const classes = Math.max(x.classes ?? 0, y.classes ?? 0) || undefined;
  return { ...a, train: { ...x, classes: x.labels && classes }, test: { ...y, classes: y.labels && classes }, notes };
}

const unlabelled = ({ labels: _l, classes: _c, classNames: _n, targets: _t, ...rest }: Dataset): Dataset => rest;

/** Image folders and CSV files; undefined for what `locateDataset` reads. */
async function readTabular(
  entry: FileEntry,
  use: Use,
  data: DataSettings,
  options: LoadOptions,
  form?: DataForm,
): Promise<DataSource | undefined> {
  const named = typeof entry === 'string' ? { inputs: entry, labels: undefined } : entry;
  const path = resolve(options.folder, named.inputs);
  if (!existsSync(path)) return undefined;
  const labels = named.labels === undefined ? undefined : resolve(options.folder, named.labels);
  if (statSync(path).isDirectory()) return isImageFolder(path) ? images(path, use, labels, data, options, form) : undefined;
  if (!['.csv', '.tsv'].includes(extname(path).toLowerCase())) return undefined;
  return csv(path, use, data, form);
}

/** Seed of the one order that rows of a CSV file are put in: files often list classes one after the other. */
const ROW_ORDER = 1;

function csv(path: string, use: Use, data: DataSettings, form?: DataForm): DataSource {
  const read = readCsvDataset(path, data.csv, form?.inputs);
  const dataset = shuffled(read, new Random(ROW_ORDER).fork('rows of a table'));
  return { name: read.name, [use === 'train' ? 'train' : 'test']: dataset, normalization: normalizations.raw, notes: classNote(read) };
}

/** The samples in a random order. */
export function shuffled(dataset: Dataset, random: Random): Dataset {
  const { count, inputs, labels, targets } = dataset;
  const order = random.permutation(count);
  const picked = <T extends Uint8Array | Float32Array | Int32Array>(values: T, width: number): T => {
    const out = values.slice() as T;
    for (let i = 0; i < count; i++) out.set(values.subarray(order[i] * width, (order[i] + 1) * width), i * width);
    return out;
  };
  return {
    ...dataset,
    inputs: picked(inputs, inputs.length / count),
    labels: labels && picked(labels, 1),
    targets: targets && { outputs: targets.outputs.map((o) => ({ ...o, values: picked(o.values, o.width) })) },
  };
}

const classNote = ({ name, classNames }: Dataset): string[] =>
  classNames ? [`classes of ${name}, numbered by name: ${classNames.slice(0, 8).join(', ')}${classNames.length > 8 ? ', …' : ''}`] : [];

async function images(
  path: string,
  use: Use,
  labels: string | undefined,
  data: DataSettings,
  { signal }: LoadOptions,
  form?: DataForm,
): Promise<DataSource> {
  const stated = form?.preprocessing;
  const settings: ImageSettings = {
    ...(stated?.resize !== undefined ? { resize: stated.resize } : {}),
    ...(stated?.interpolation ? { interpolation: stated.interpolation } : {}),
    ...(stated?.order ? { order: stated.order } : {}),
    ...withoutUndefined(data.images ?? {}),
  };
  if (form && form.inputs.length !== 1) {
    throw new UserError(
      `the model has ${form.inputs.length} inputs (${form.inputs.map((i) => i.name).join(', ')}), but a folder of images feeds one`,
      'Save an npz archive with one array for each input, under its name.',
    );
  }
  const options: ImageFolderOptions = {
    settings: withStatedCrop(settings, form),
    input: form?.inputs[0],
    labels,
    unlabelled: use === 'inputs',
    signal,
  };
  const { train, test, all, notes } = await readImageFolder(path, options);
  const any = (all ?? test ?? train)!;
  const parts = all ? { [use === 'train' && all.labels ? 'train' : 'test']: all } : joinedParts(train, test);
  return {
    name: any.name,
    ...parts,
    ...usualNormalization(any, data, stated),
    notes: [...notes, ...classNote(any), ...statedNote(stated)],
  };
}

function joinedParts(train: Dataset | undefined, test: Dataset | undefined): { train?: Dataset; test?: Dataset } {
  if (!train || !test) return { train, test };
  const [a, b] = withSharedClasses(train, test);
  return { train: a, test: b };
}

/** Where the model leaves the size of its input open, the stated one. */
function withStatedCrop(settings: ImageSettings, form?: DataForm): ImageSettings {
  const shape = form?.inputs[0].shape;
  const open = !shape || shape.slice(1).some((d) => typeof d !== 'number' || d <= 0);
  const size = form?.preprocessing?.size;
  return settings.crop === undefined && open && size ? { ...settings, crop: size } : settings;
}

const withoutUndefined = <T extends object>(object: T): Partial<T> =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as Partial<T>;

/** What the model states holds for pixels wherever they come from. Images that are not in files of their own have their size and order of colours already. */
function withStatedNormalization(source: DataSource, stated: Preprocessing | undefined): DataSource {
  const any = source.test ?? source.train;
  const n = stated?.normalization;
  if (!n || !any || source.normalizationStated || any.fields || any.shape.length !== 3 || !(any.inputs instanceof Uint8Array))
    return source;
  if (!fitsChannels(n, any)) return source;
  const order =
    stated.order === 'bgr' && any.shape[0] === 3 ? '; the order of colours stays that of the data, though the model wants BGR' : '';
  const note = `the model states its normalisation, which is taken: ${preprocessingText({ normalization: n, keys: stated.keys })}${order}; "data.normalization" goes before it`;
  return { ...source, normalization: n, normalizationStated: true, notes: [...(source.notes ?? []), note] };
}

const fitsChannels = ({ mean, std }: Normalization, { shape }: Dataset): boolean =>
  [mean, std].every((list) => list.length === 1 || list.length === shape[0]);

const statedNote = (stated: Preprocessing | undefined): string[] =>
  stated ? [`the model states its pre-processing: ${preprocessingText(stated)}; what "data" says goes before it`] : [];

/** The stated normalisation; else ImageNet's for colours, which most published networks were trained with, and pixels from 0 to 1 for grey. */
function usualNormalization(
  dataset: Dataset,
  data: DataSettings,
  stated: Preprocessing | undefined,
): { normalization: Normalization; normalizationStated?: boolean } {
  const n = stated?.normalization;
  if (n && fitsChannels(n, dataset)) return { normalization: n, normalizationStated: true };
  return {
    normalization: dataset.shape[0] === 3 ? normalizations.imagenet : normalizations.unit,
    normalizationStated: data.normalization !== undefined,
  };
}
