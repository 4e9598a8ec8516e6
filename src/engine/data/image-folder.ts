/**
 * Folders of JPEG and PNG files: one folder for each class, or images without labels, or a table of labels beside them. Images are resized, cropped in the
 * middle and kept as bytes, channels first; normalisation comes with the batches.
 */
import { createHash } from 'node:crypto';
import { type Dirent, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { UserError } from '../errors';
import { numbered } from './class-names';
import { columnOf, type InputForm, readTable } from './csv';
import type { Dataset } from './dataset';
import { decodeImage, isImagePath, type RgbImage } from './decode-image';
import { centreCrop, type Interpolation, resizeImage } from './resize-image';

export interface ImageSettings {
  /** Length of the shorter side before the crop, or height and width. Default: 8/7 of the crop's, the usual 256 for 224. */
  readonly resize?: number | readonly [number, number];
  /** Height and width of the centre crop, one number for both. Default: what the model takes. */
  readonly crop?: number | readonly [number, number];
  readonly interpolation?: Interpolation;
  readonly order?: 'rgb' | 'bgr';
  /** Most images read, evenly from all. Default: as many as take 1 GiB as model inputs. */
  readonly limit?: number;
}

const LIMIT_BYTES = 2 ** 30;
const LABEL_FILES = ['labels.csv', 'labels.tsv', 'labels.txt'];
const PARTS: Readonly<Record<string, 'train' | 'test' | 'val'>> = {
  train: 'train',
  training: 'train',
  test: 'test',
  testing: 'test',
  val: 'val',
  valid: 'val',
  validation: 'val',
};

/** True for a folder that holds images, in itself or in folders in it. */
export function isImageFolder(path: string): boolean {
  for (const _ of imagesBelow(path)) return true;
  return false;
}

/** True where images have labels: a table beside them, or several folders of them. */
export function isLabelledFolder(path: string): boolean {
  const images = [...imagesBelow(path)];
  const { partOf, inParts } = partsOf(images);
  return labelsFor(path, inParts ? images.filter((i) => partOf(i) !== undefined) : images, undefined, inParts) !== undefined;
}

/** Which part images are of, by their first folder; `inParts` where folders are parts throughout. */
function partsOf(images: readonly string[]): { partOf(image: string): 'train' | 'test' | 'val' | undefined; inParts: boolean } {
  const partOf = (image: string): 'train' | 'test' | 'val' | undefined =>
    image.includes('/') ? PARTS[image.slice(0, image.indexOf('/')).toLowerCase()] : undefined;
  const parts = new Set(images.map(partOf));
  return { partOf, inParts: !parts.has(undefined) && (parts.has('train') || parts.has('test')) };
}

/**
 * Paths of images below a folder, relative to it, with forward slashes: those in itself, in its folders, and in the folders of train and test. Deeper ones do
 * not count: a folder of data sets is no image folder because one of them is.
 */
function* imagesBelow(root: string, under = ''): Generator<string> {
  let entries: Dirent[];
  try {
    entries = readdirSync(join(root, under), { withFileTypes: true });
  } catch {
    // What may not be read holds nothing for us.
    return;
  }
  for (const entry of entries) {
    if (entry.name.startsWith('.')) continue;
    const path = under === '' ? entry.name : `${under}/${entry.name}`;
    // Links to files count, as data sets are often laid out with them.
    if ((entry.isFile() || entry.isSymbolicLink()) && isImagePath(entry.name)) yield path;
    else if (entry.isDirectory() && (under === '' || under.toLowerCase() in PARTS)) yield* imagesBelow(root, path);
  }
}

export interface ImageFolderOptions {
  readonly settings?: ImageSettings;
  /** The model's input. */
  readonly input?: InputForm;
  /** A table of image files and their classes; default: one called labels.csv or labels.tsv in the folder or beside it. */
  readonly labels?: string;
  /** Leave labels unread: a run that is judged by agreement. */
  readonly unlabelled?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * The parts of an image folder: those of its folders train and test (or val) where it has them, else all images as one.
 * @throws UserError where no size is known, an image cannot be read, or labels name no image
 */
export async function readImageFolder(
  path: string,
  options: ImageFolderOptions = {},
): Promise<{ train?: Dataset; test?: Dataset; all?: Dataset; notes: string[] }> {
  const images = [...imagesBelow(path)];
  if (images.length === 0) throw new UserError(`The folder ${path} holds no JPEG or PNG files.`, 'Name a folder of images.');
  const notes: string[] = [];
  const { partOf, inParts } = partsOf(images);
  const parts = new Set(images.map(partOf));
  if (!inParts) {
    return { all: await readPart(path, images, basename(path), options, notes), notes };
  }
  const read = async (which: 'train' | 'test', from: 'train' | 'test' | 'val'): Promise<Dataset> =>
    readPart(
      path,
      images.filter((i) => partOf(i) === from),
      `${basename(path)} ${which}`,
      options,
      notes,
      true,
    );
  return {
    train: parts.has('train') ? await read('train', 'train') : undefined,
    test: parts.has('test') ? await read('test', 'test') : parts.has('val') ? await read('test', 'val') : undefined,
    notes,
  };
}

async function readPart(
  root: string,
  found: readonly string[],
  name: string,
  options: ImageFolderOptions,
  notes: string[],
  inPart = false,
): Promise<Dataset> {
  const { settings = {}, signal } = options;
  const form = outputForm(options);
  const labelOf = options.unlabelled ? undefined : labelsFor(root, found, options.labels, inPart);
  // Folders list classes one after the other; the order of hashes mixes them, always alike, and whatever is added.
  const images = (labelOf ? found.filter((i) => labelOf.has(i)) : [...found])
    .map((image) => ({ image, key: createHash('sha1').update(image).digest('hex') }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ image }) => image);
  const size = form.channels * form.height * form.width;
  const most = settings.limit ?? Math.max(1, Math.floor(LIMIT_BYTES / (4 * size)));
  if (images.length > most)
    notes.push(`${most} of the ${images.length} images of ${name} are read, drawn evenly; "data.images.limit" sets another number`);
  const chosen = images.slice(0, most);
  const inputs = new Uint8Array(chosen.length * size);
  for (let i = 0; i < chosen.length; i++) {
    signal?.throwIfAborted();
    const path = join(root, chosen[i]);
    const image = await decodeImage(readFileSync(path), path);
    writePlanes(fitted(image, form, settings, path), form, inputs, i * size);
  }
  const dataset: Dataset = { name, count: chosen.length, shape: [form.channels, form.height, form.width], inputs };
  return labelOf ? { ...dataset, ...numbered(chosen.map((i) => labelOf.get(i)!)) } : dataset;
}

interface OutputForm {
  readonly channels: number;
  readonly height: number;
  readonly width: number;
  readonly order: 'rgb' | 'bgr';
}

const pair = (value: number | readonly [number, number]): readonly [number, number] => (typeof value === 'number' ? [value, value] : value);

function outputForm({ settings = {}, input }: ImageFolderOptions): OutputForm {
  const shape = input?.shape;
  if (shape && shape.length !== 3) {
    throw new UserError(
      `the model's input '${input.name}' takes [${shape.map((d) => d || '?').join(', ')}], which is no image`,
      'Images need an input of channels, height and width.',
    );
  }
  const known = (d: number | string | undefined): number | undefined => (typeof d === 'number' && d > 0 ? d : undefined);
  const channels = known(shape?.[0]) ?? 3;
  const [height, width] = settings.crop !== undefined ? pair(settings.crop) : [known(shape?.[1]), known(shape?.[2])];
  if (height === undefined || width === undefined) {
    throw new UserError(
      `the model's input leaves the height and width of images open`,
      'Say them with "data.images.crop", e.g. 224 or [224, 224].',
    );
  }
  if (channels !== 1 && channels !== 3) {
    throw new UserError(
      `the model's input '${input?.name}' takes ${channels} channels, but images have 1 or 3`,
      'Models that take channels last are fed as arrays (npy, npz).',
    );
  }
  return { channels, height, width, order: settings.order ?? 'rgb' };
}

/** An image at the network's size. One that has it already is taken as it is. */
function fitted(image: RgbImage, { height, width }: OutputForm, settings: ImageSettings, path: string): RgbImage {
  if (image.width === width && image.height === height) return image;
  const resize = settings.resize ?? Math.floor((Math.min(height, width) * 8) / 7);
  let [toHeight, toWidth] = typeof resize === 'number' ? [resize, resize] : resize;
  if (typeof resize === 'number') {
    // As torchvision's Resize: the longer side is cut to a whole number.
    if (image.width < image.height) toHeight = Math.floor((resize * image.height) / image.width);
    else toWidth = Math.floor((resize * image.width) / image.height);
  }
  if (toHeight < height || toWidth < width) {
    throw new UserError(
      `${path} is ${toWidth}×${toHeight} pixels after resizing, less than the crop of ${width}×${height}.`,
      'Raise "data.images.resize", or lower "data.images.crop".',
    );
  }
  return centreCrop(resizeImage(image, toWidth, toHeight, settings.interpolation), width, height);
}

function writePlanes({ data }: RgbImage, { channels, height, width, order }: OutputForm, out: Uint8Array, at: number): void {
  const plane = height * width;
  for (let p = 0; p < plane; p++) {
    const [r, g, b] = [data[3 * p], data[3 * p + 1], data[3 * p + 2]];
    // ITU-R 601 luma in whole numbers, as Pillow's convert('L').
    if (channels === 1) out[at + p] = (r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16;
    else {
      out[at + p] = order === 'rgb' ? r : b;
      out[at + plane + p] = g;
      out[at + 2 * plane + p] = order === 'rgb' ? b : r;
    }
  }
}

/** The class of each image by a table or by its folder; undefined where images have none. */
function labelsFor(
  root: string,
  images: readonly string[],
  file: string | undefined,
  inPart: boolean,
): ReadonlyMap<string, string> | undefined {
  const table = file ?? [root, dirname(root)].flatMap((f) => LABEL_FILES.map((name) => join(f, name))).find((f) => readable(f));
  if (table !== undefined) {
    const found = tableLabels(table, images);
    if (found.size > 0) return found;
    if (file !== undefined) {
      throw new UserError(
        `${table} names none of the images in ${root}.`,
        'Its columns are file (a path below the folder, or a name) and class_index, label or class.',
      );
    }
  }
  const depth = inPart ? 1 : 0;
  const folders = images.map((i) => i.split('/').slice(depth, -1)[0]);
  if (folders.some((f) => f === undefined) || new Set(folders).size < 2) return undefined;
  return new Map(images.map((image, i) => [image, folders[i]]));
}

function readable(path: string): boolean {
  try {
    return readFileSync(path).length > 0;
  } catch {
    return false;
  }
}

const FILE_COLUMNS = ['file', 'filename', 'path', 'image', 'name'];
const CLASS_COLUMNS = ['class_index', 'index', 'label', 'class', 'target', 'category'];

function tableLabels(path: string, images: readonly string[]): Map<string, string> {
  const table = readTable(path);
  const width = table.rows[0].length;
  const pick = (names: readonly string[], otherwise: number): number => {
    const name = names.find((n) => table.header?.some((h) => h.toLowerCase() === n));
    return name === undefined ? otherwise : columnOf(table, table.header!.find((h) => h.toLowerCase() === name)!, width);
  };
  const [fileColumn, classColumn] = [pick(FILE_COLUMNS, 0), pick(CLASS_COLUMNS, 1)];
  const classes = new Map<string, string>();
  for (const row of table.rows) if (row[classColumn] !== undefined) classes.set(row[fileColumn].trim(), row[classColumn].trim());
  const out = new Map<string, string>();
  for (const image of images) {
    const name = image.slice(image.lastIndexOf('/') + 1);
    const found = classes.get(image) ?? classes.get(name) ?? classes.get(name.replace(/\.[^.]*$/, ''));
    if (found !== undefined) out.set(image, found);
  }
  return out;
}
