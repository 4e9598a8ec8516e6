/**
 * From a name or path to data: `digits` (generated), `mnist`, `fashion-mnist`, `cifar10` under their usual folder names in a data folder (`--data` or the
 * environment variable ESPALIER_DATA), or explicit files and folders.
 */

import { existsSync, readdirSync, statSync } from 'node:fs';
import { basename, extname, join, resolve } from 'node:path';
import { UserError } from '../errors';
import { fieldParts, hasFields } from './archive-fields';
import { type ArrayLayout, datasetFromArrays, type NamedArray } from './arrays';
import { readCifarDataset } from './cifar';
import type { InputForm } from './csv';
import type { DataSource, Dataset, Normalization } from './dataset';
import { generateDigits } from './generated-digits';
import { readIdxDataset } from './idx';
import { readUnlabelled } from './label-free';
import { normalizations } from './normalize';
import { readNpy, readNpz } from './npy';

/** Inputs and labels of one part: .npy or idx files, by their names or first bytes. */
export interface PartFiles {
  readonly inputs: string;
  /** Absent for label-free runs. */
  readonly labels?: string;
}

/**
 * What to load. A string is a known name, or a path: a folder of idx or CIFAR batch files, a .npz archive, or a .npy file (unlabelled inputs).
 * Paths count from `baseFolder`.
 */
export type DataSpec =
  | string
  | { readonly digits: { readonly train?: number; readonly test?: number; readonly seed?: number } }
  | { readonly train?: PartFiles; readonly test?: PartFiles; readonly layout?: ArrayLayout };

export interface LocateOptions {
  /** What --data named: a folder of data sets, or the folder of the one asked for. Goes before ESPALIER_DATA. */
  readonly dataFolder?: string;
  /** Environment variables; ESPALIER_DATA is read. Default process.env. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  /** What relative paths in the spec count from, e.g. the config's folder. Default the current folder. */
  readonly baseFolder?: string;
  /** Names of the model's inputs and outputs, for archives with an array for each. */
  readonly form?: { readonly inputs: readonly InputForm[]; readonly outputs: readonly string[] };
  /** Load only this part, where the other is not needed. */
  readonly only?: 'train' | 'test';
}

/** Names that `locateDataset` knows. */
export const knownDatasets = ['digits', 'mnist', 'fashion-mnist', 'cifar10'] as const;
type KnownDataset = (typeof knownDatasets)[number];
type StoredDataset = Exclude<KnownDataset, 'digits'>;

/** Generated digits where the config does not say how many. */
const DIGITS = { train: 12000, test: 3000, seed: 1 };

/** Folders each data set usually lies in: as unpacked by hand, and as torchvision and Keras name them. */
const usualFolders: Readonly<Record<StoredDataset, readonly string[]>> = {
  mnist: ['mnist', 'MNIST/raw', 'MNIST'],
  'fashion-mnist': ['fashion-mnist', 'FashionMNIST/raw', 'FashionMNIST'],
  cifar10: ['cifar-10-batches-bin', 'cifar10/cifar-10-batches-bin', 'cifar10'],
};

const idxStems = { train: 'train', test: 't10k' } as const;
const cifarFiles = { train: [1, 2, 3, 4, 5].map((i) => `data_batch_${i}.bin`), test: ['test_batch.bin'] } as const;

const LABEL_FREE_HINT = 'Without labelled data a label-free run needs some inputs: pass --data file.npy.';

/** Loads the data. Throws a UserError that says what was looked for and where. */
export function locateDataset(spec: DataSpec, options: LocateOptions = {}): DataSource {
  const base = options.baseFolder ?? '.';
  if (typeof spec !== 'string') {
    if ('digits' in spec) return digits(spec.digits);
    return explicitParts(spec, base);
  }
  if (spec === 'digits') return digits({});
  if (spec === 'mnist' || spec === 'fashion-mnist' || spec === 'cifar10') return known(spec, options);
  const path = resolve(base, spec);
  if (!existsSync(path)) {
    throw new UserError(
      `There is no data set called ${spec}, and no file or folder ${path}.`,
      `Known names: ${knownDatasets.join(', ')}. Or name a folder of idx or CIFAR-10 files, a .npz archive or a .npy file.`,
    );
  }
  if (statSync(path).isDirectory()) return anyFolder(path, options.only);
  if (extname(path).toLowerCase() === '.npz') return archive(path, options.form);
  if (extname(path).toLowerCase() === '.npy') {
    const dataset = readUnlabelled(path);
    return { name: basename(path), test: dataset, normalization: valuesNormalization(dataset) };
  }
  throw new UserError(
    `${path} is not a kind of data file that is known here.`,
    'Name a folder of idx or CIFAR-10 files, a .npz archive or a .npy file; for a pair of files write { "train": { "inputs": …, "labels": … } }.',
  );
}

function digits({
  train = DIGITS.train,
  test = DIGITS.test,
  seed = DIGITS.seed,
}: {
  train?: number;
  test?: number;
  seed?: number;
}): DataSource {
  // One stream for both parts: no image of one is in the other.
  const all = generateDigits({ count: train + test, seed });
  const part = (from: number, to: number): Dataset => ({
    ...all,
    count: to - from,
    inputs: all.inputs.subarray(from * 784, to * 784),
    labels: all.labels!.subarray(from, to),
  });
  return { name: 'digits', train: part(0, train), test: part(train, train + test), normalization: normalizations.digits };
}

function known(name: StoredDataset, { dataFolder, env = process.env, only }: LocateOptions): DataSource {
  const roots = [dataFolder, env['ESPALIER_DATA']].filter((root): root is string => root !== undefined && root !== '');
  const fetchHint = `\`espalier data ${name}\` fetches it on a machine with a network. ${LABEL_FREE_HINT}`;
  if (roots.length === 0) {
    throw new UserError(
      `The data set ${name} was asked for, but no data folder is known.`,
      `Pass --data DIR, set ESPALIER_DATA, or in VS Code the setting espalier.dataFolder. ${fetchHint}`,
    );
  }
  if (dataFolder !== undefined && !existsSync(dataFolder)) {
    throw new UserError(
      `The data folder ${dataFolder} does not exist.`,
      `Pass the folder that holds ${usualFolders[name][0]}. ${fetchHint}`,
    );
  }
  for (const root of roots) {
    for (const folder of [...usualFolders[name].map((usual) => join(root, usual)), root]) {
      // A data folder may itself hold the files; one called after another data set of the same format does not count.
      if (folder === root && (Object.keys(usualFolders) as StoredDataset[]).some((other) => other !== name && isCalled(root, other)))
        continue;
      const source = name === 'cifar10' ? cifarFolder(folder, only) : idxFolder(name, folder, only);
      if (source) return source;
    }
  }
  const part = only ? `the ${only} part of ` : '';
  const files =
    name === 'cifar10'
      ? 'data_batch_1.bin to data_batch_5.bin and test_batch.bin'
      : 'train-images-idx3-ubyte, t10k-images-idx3-ubyte and their labels (also as train-images.idx3-ubyte, also .gz)';
  const folders = usualFolders[name].map((folder) => `${folder}/`).join(', ');
  throw new UserError(`No ${part}${name} in ${roots.join(' or ')}: looked for ${files} in ${folders} and the folder itself.`, fetchHint);
}

/** Whether the folder bears one of the usual names of the data set. */
function isCalled(folder: string, name: StoredDataset): boolean {
  const path = resolve(folder).replaceAll('\\', '/').toLowerCase();
  return usualFolders[name].some((usual) => path.endsWith(`/${usual.toLowerCase()}`));
}

/** A part's file under one of the names it goes by: MNIST's own `train-images-idx3-ubyte`, `train-images.idx3-ubyte`, each also as .gz. */
function idxFile(folder: string, part: 'train' | 'test', kind: 'images' | 'labels'): string | undefined {
  const stem = `${idxStems[part]}-${kind}`;
  const end = kind === 'images' ? 'idx3-ubyte' : 'idx1-ubyte';
  return [`${stem}-${end}`, `${stem}.${end}`, `${stem}-${end}.gz`, `${stem}.${end}.gz`]
    .map((f) => join(folder, f))
    .find((f) => existsSync(f));
}

function idxFolder(name: string, folder: string, only?: 'train' | 'test'): DataSource | undefined {
  const part = (which: 'train' | 'test'): Dataset | undefined => {
    const images = idxFile(folder, which, 'images');
    if (images === undefined || (only && only !== which)) return undefined;
    const labels = idxFile(folder, which, 'labels');
    if (labels === undefined) {
      throw new UserError(
        `${images} has no labels beside it: ${idxStems[which]}-labels-idx1-ubyte is missing.`,
        'Copy the label file into the same folder.',
      );
    }
    return readIdxDataset(`${name} ${which}`, images, labels);
  };
  const [train, test] = [part('train'), part('test')];
  if (!train && !test) return undefined;
  const normalization =
    name === 'fashion-mnist' ? normalizations['fashion-mnist'] : name === 'mnist' ? normalizations.mnist : normalizations.unit;
  return { name, ...matching(train, test), normalization };
}

function cifarFolder(folder: string, only?: 'train' | 'test'): DataSource | undefined {
  const part = (which: 'train' | 'test'): Dataset | undefined => {
    const paths = cifarFiles[which].map((file) => join(folder, file));
    const missing = paths.filter((path) => !existsSync(path));
    if (missing.length === paths.length || (only && only !== which)) return undefined;
    if (missing.length > 0) {
      throw new UserError(
        `CIFAR-10 in ${folder} is not whole: ${missing.map((m) => basename(m)).join(', ')} missing.`,
        'Unpack the archive again.',
      );
    }
    return readCifarDataset(`cifar10 ${which}`, paths);
  };
  const [train, test] = [part('train'), part('test')];
  return train || test ? { name: 'cifar10', train, test, normalization: normalizations.cifar10 } : undefined;
}

function anyFolder(path: string, only?: 'train' | 'test'): DataSource {
  const name = (['mnist', 'fashion-mnist'] as const).find((candidate) => isCalled(path, candidate)) ?? basename(path);
  const source = cifarFolder(path, only) ?? idxFolder(name, path, only);
  if (source) return source;
  const some = readdirSync(path).slice(0, 5);
  throw new UserError(
    `The folder ${path} holds no data set that is known here (found ${some.length > 0 ? `${some.join(', ')}, …` : 'nothing'}).`,
    `Known are idx files (train-images-idx3-ubyte …) and CIFAR-10 binary batches (data_batch_1.bin …). ${LABEL_FREE_HINT}`,
  );
}

/** Names that arrays of a .npz archive go by: Keras's `x_train`, `y_train` …, `train_images` …, or `x` and `y` for one part. */
const arrayNames = {
  train: {
    inputs: ['x_train', 'train_images', 'train_x', 'x', 'images', 'inputs'],
    labels: ['y_train', 'train_labels', 'train_y', 'y', 'labels'],
  },
  test: { inputs: ['x_test', 'test_images', 'test_x'], labels: ['y_test', 'test_labels', 'test_y'] },
} as const;

function archive(path: string, form: LocateOptions['form']): DataSource {
  const arrays = readNpz(path);
  const named = (names: readonly string[]) => names.some((n) => arrays.has(n));
  const usual = named(arrayNames.train.inputs) || named(arrayNames.test.inputs);
  if (form && (form.inputs.length > 1 || !usual) && hasFields(arrays, form.inputs)) {
    const parts = fieldParts(path, arrays, form.inputs, form.outputs);
    return { name: basename(path), ...matching(parts.train, parts.test), normalization: normalizations.raw };
  }
  const pick = (names: readonly string[]): NamedArray | undefined => {
    const found = names.find((n) => arrays.has(n));
    return found === undefined ? undefined : { name: `${path} › ${found}`, array: arrays.get(found)! };
  };
  const part = (which: 'train' | 'test'): Dataset | undefined => {
    const inputs = pick(arrayNames[which].inputs);
    return inputs && datasetFromArrays(`${basename(path)} ${which}`, inputs, pick(arrayNames[which].labels));
  };
  const [train, test] = [part('train'), part('test')];
  const one = train ?? test;
  if (!one) {
    throw new UserError(
      `${path} holds the arrays ${[...arrays.keys()].join(', ')}; none of them is called ${arrayNames.train.inputs.join(', ')} or ${arrayNames.test.inputs[0]}.`,
      'Save with numpy.savez(file, x_train=…, y_train=…, x_test=…, y_test=…), or x=… and y=… for one part.',
    );
  }
  return { name: basename(path), ...matching(train, test), normalization: valuesNormalization(one) };
}

function explicitParts(spec: { train?: PartFiles; test?: PartFiles; layout?: ArrayLayout }, base: string): DataSource {
  const part = (which: 'train' | 'test'): Dataset | undefined => {
    const files = spec[which];
    if (!files) return undefined;
    const inputs = resolve(base, files.inputs);
    const labels = files.labels === undefined ? undefined : resolve(base, files.labels);
    const name = `${basename(inputs)} ${which}`;
    if (extname(inputs).toLowerCase() !== '.npy') return readIdxDataset(name, inputs, labels);
    const labelArray = labels === undefined ? undefined : { name: labels, array: readNpy(labels) };
    return datasetFromArrays(name, { name: inputs, array: readNpy(inputs) }, labelArray, spec.layout);
  };
  const [train, test] = [part('train'), part('test')];
  const one = train ?? test;
  if (!one) throw new UserError('The data names neither a train nor a test part.', 'Write { "train": { "inputs": …, "labels": … } }.');
  return { name: one.name, ...matching(train, test), normalization: valuesNormalization(one) };
}

/** Both parts have the classes that either has, as a small part may lack the last one; their samples must have one shape. */
function matching(train?: Dataset, test?: Dataset): { train?: Dataset; test?: Dataset } {
  if (!train || !test) return { train, test };
  if (train.shape.join() !== test.shape.join()) {
    throw new UserError(
      `${train.name} has samples of shape ${train.shape.join('×')}, but ${test.name} of shape ${test.shape.join('×')}.`,
      'Both parts must have samples of one shape.',
    );
  }
  if (train.classes === undefined || test.classes === undefined) return { train, test };
  const classes = Math.max(train.classes, test.classes);
  return { train: { ...train, classes }, test: { ...test, classes } };
}

/** Bytes become 0 to 1; other values are taken to be model inputs already. */
function valuesNormalization(dataset: Dataset): Normalization {
  return dataset.inputs instanceof Uint8Array ? normalizations.unit : normalizations.raw;
}
