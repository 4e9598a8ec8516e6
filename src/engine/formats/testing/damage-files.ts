/** Damages models of other formats than ONNX: single bytes, cuts, and changes of their JSON that leave it readable. */
import { strFromU8, strToU8, unzipSync, zipSync } from 'fflate';
import type { Random } from '../../random';
import type { Json } from '../keras-topology';

/** A model as the files it lies in; the first is the one that is opened. */
export type ModelFiles = ReadonlyMap<string, Uint8Array>;

const ABSURD: readonly Json[] = [
  ...[null, true, false, 0, -1, 1, 2, 3, 7, 0.5, 255, 2 ** 20, 2 ** 31, 2 ** 40, -(2 ** 40), 1e300],
  ...[
    '',
    '__proto__',
    'constructor',
    'toString',
    'x',
    '../../x',
    '\u0000',
    'é'.repeat(50),
    'channels_first',
    'same',
    'relu',
    'float16',
    'string',
  ],
  ...[[], {}, [[]], [null], [1, 2, 3], [2 ** 31, 2 ** 31], { class_name: 'Dense', config: {} }],
];
const CLASSES = [
  ...[
    'Dense',
    'Conv2D',
    'Conv1D',
    'DepthwiseConv2D',
    'SeparableConv2D',
    'Conv2DTranspose',
    'Flatten',
    'Reshape',
    'Permute',
    'Add',
    'Concatenate',
  ],
  ...['BatchNormalization', 'MaxPooling2D', 'GlobalAveragePooling2D', 'UpSampling2D', 'ZeroPadding2D', 'Cropping2D', 'Softmax', 'PReLU'],
  ...['Rescaling', 'InputLayer', 'Sequential', 'Functional', 'LSTM', 'GRU', 'Embedding', 'LayerNormalization', '__proto__', 'Unheard'],
  ...[
    'MatMul',
    'BiasAdd',
    'StridedSlice',
    'Pack',
    'Shape',
    'Mean',
    'ConcatV2',
    'Pad',
    'Transpose',
    'Squeeze',
    'Split',
    'Fill',
    'Range',
    'Tile',
  ],
];

const pick = <T>(random: Random, list: readonly T[]): T => list[random.below(list.length)];

type Mutable = { [key: string]: unknown } | unknown[];

/** One place of a JSON value changed. */
function changed(root: unknown, random: Random): unknown {
  const places: Array<{ holder: Mutable; key: string | number }> = [];
  const visit = (value: unknown): void => {
    if (typeof value !== 'object' || value === null) return;
    for (const key of Object.keys(value)) {
      places.push({ holder: value as Mutable, key: Array.isArray(value) ? Number(key) : key });
      visit((value as { [key: string]: unknown })[key]);
    }
  };
  visit(root);
  if (places.length === 0) return pick(random, ABSURD);
  const { holder, key } = pick(random, places);
  const valueAt = ({ holder: h, key: k }: (typeof places)[number]): unknown => (h as { [key: string | number]: unknown })[k];
  const at = holder as { [key: string | number]: unknown };
  const value = at[key];
  // Mostly of the same kind: what is wrong at first sight is refused at first sight.
  const alike = places.filter((p) => typeof valueAt(p) === typeof value && Array.isArray(valueAt(p)) === Array.isArray(value));
  switch (random.below(9)) {
    case 0:
      if (Array.isArray(holder)) holder.splice(Number(key), 1);
      else delete at[key];
      break;
    case 1:
      if (Array.isArray(holder)) holder.splice(Number(key), 0, structuredClone(value));
      else at[`${String(key)}_again`] = structuredClone(value);
      break;
    case 2:
      at[key] = structuredClone(pick(random, ABSURD));
      break;
    case 3:
    case 4:
      at[key] = structuredClone(valueAt(pick(random, alike)));
      break;
    default:
      at[key] = otherValue(value, random) ?? structuredClone(valueAt(pick(random, alike)));
  }
  return root;
}

/** Another number, number in text, operator or truth value; undefined for the rest. */
function otherValue(value: unknown, random: Random): unknown {
  const number = (n: number): number => pick(random, [n + 1, n - 1, -n, n * 2, n * 2 ** 20, 0, 1, 2, 3, -1, 2 ** 31, 2 ** 40]);
  if (typeof value === 'number') return random.below(8) ? number(value) : value / 3;
  if (typeof value === 'boolean') return !value;
  if (typeof value === 'string' && /^-?\d+$/.test(value)) return String(number(Number(value)));
  if (typeof value === 'string' && /^[A-Z_]/.test(value)) return pick(random, CLASSES);
  return undefined;
}

function damagedJson(bytes: Uint8Array, random: Random): Uint8Array {
  let root = JSON.parse(strFromU8(bytes)) as unknown;
  for (let i = pick(random, [1, 1, 1, 2, 2, 3, 5, 9]); i > 0; i--) root = changed(root, random);
  return strToU8(JSON.stringify(root) ?? '');
}

function flipped(file: Uint8Array, random: Random): Uint8Array {
  // A Buffer's own slice would not copy.
  const bytes = new Uint8Array(file);
  for (let i = 1 + random.below(8); i > 0 && bytes.byteLength > 0; i--) {
    const reach = random.below(2) ? bytes.byteLength : Math.min(bytes.byteLength, 4096);
    const at = random.below(2) ? random.below(reach) : bytes.byteLength - 1 - random.below(reach);
    bytes[at] = pick(random, [0, 255, 127, 128, bytes[at] ^ (1 << random.below(8)), random.below(256)]);
  }
  return bytes;
}

/** Digits in the text of an HDF5 file: the lengths, units and names in its JSON, which keep their places. */
function otherDigits(file: Uint8Array, random: Random): Uint8Array {
  // A Buffer's own slice would not copy.
  const bytes = new Uint8Array(file);
  const places: number[] = [];
  for (let i = 1; i < bytes.byteLength; i++) {
    const before = bytes[i - 1];
    if (bytes[i] >= 48 && bytes[i] <= 57 && (before === 32 || before === 91 || before === 95)) places.push(i);
  }
  for (let i = 1 + random.below(5); i > 0 && places.length > 0; i--) bytes[pick(random, places)] = 48 + random.below(10);
  return bytes;
}

function damagedArchive(file: Uint8Array, random: Random): Uint8Array {
  const entries: Record<string, Uint8Array> = unzipSync(file);
  const names = Object.keys(entries);
  const name = pick(random, ['config.json', 'config.json', 'config.json', 'model.weights.h5', 'metadata.json', pick(random, names)]);
  const entry = entries[name];
  if (random.below(12) === 0) delete entries[name];
  else if (name.endsWith('.json')) entries[name] = random.below(8) ? damagedJson(entry, random) : flipped(entry, random);
  else entries[name] = flipped(entry, random);
  return zipSync(entries, { level: 1 });
}

/** One damaged model from whole ones. */
export function damageFiles(models: readonly ModelFiles[], random: Random): ModelFiles {
  const files = new Map<string, Uint8Array>(pick(random, models));
  const [main] = files.keys();
  const name = random.below(5) === 0 ? pick(random, [...files.keys()]) : main;
  const bytes = files.get(name)!;
  const kind = random.below(10);
  if (files.size > 1 && kind === 0 && name !== main) files.delete(name);
  else if (kind === 0) files.set(name, bytes.slice(0, random.below(bytes.byteLength)));
  else if (kind === 1) files.set(name, flipped(bytes, random));
  else if (name.endsWith('.json')) files.set(name, damagedJson(bytes, random));
  else if (name.endsWith('.keras')) files.set(name, damagedArchive(bytes, random));
  else if (name.endsWith('.h5') && kind < 6) files.set(name, otherDigits(bytes, random));
  else files.set(name, flipped(bytes, random));
  return files;
}
