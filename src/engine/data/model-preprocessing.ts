/**
 * Pre-processing that a model file states in its metadata. There is no one standard for it; read are
 * - ONNX's own keys for images: `Image.BitmapPixelFormat`, `Image.NominalPixelRange` (ONNX, "Standard metadata: images")
 * - single keys: mean, std, scale, size, resize, crop_pct, interpolation, channel order, under the names that exporters give them (timm, PyTorch scripts,
 *   Ultralytics, Windows ML)
 * - a JSON object with such keys in one entry: Hugging Face's preprocessor_config, timm's pretrained_cfg
 */
import type { Normalization } from './dataset';
import type { Interpolation } from './resize-image';

export interface Preprocessing {
  /** For the channels in the network's order. */
  readonly normalization?: Normalization;
  /** Shorter side before the crop, in pixels. */
  readonly resize?: number;
  /** Height and width of the network's input. */
  readonly size?: readonly [number, number];
  readonly interpolation?: Interpolation;
  readonly order?: 'rgb' | 'bgr';
  /** Metadata keys it was read from. */
  readonly keys: readonly string[];
}

/** Names under which each fact is found, lower case without spaces, dashes and underscores. */
const NAMES = {
  mean: ['mean', 'imagemean', 'imgmean', 'pixelmean', 'normmean', 'normalizemean', 'inputmean', 'rgbmean', 'means'],
  std: ['std', 'imagestd', 'imgstd', 'pixelstd', 'normstd', 'normalizestd', 'inputstd', 'rgbstd', 'stds'],
  scale: ['scale', 'rescalefactor', 'pixelscale', 'inputscale'],
  size: ['imagesize', 'imgsize', 'imgsz', 'inputsize', 'cropsize', 'size', 'inputshape'],
  resize: ['resize', 'resizesize', 'shortestedge'],
  cropShare: ['croppct', 'croppercent', 'cropratio'],
  interpolation: ['interpolation', 'resample'],
  order: ['colorformat', 'channelorder', 'colororder', 'pixelformat', 'image.bitmappixelformat'],
  range: ['image.nominalpixelrange'],
} as const;
type Fact = keyof typeof NAMES;

/** Entries that may hold a JSON object of such facts. */
const OBJECTS = ['preprocessorconfig', 'preprocessing', 'preprocess', 'pretrainedcfg', 'dataconfig', 'imageprocessor', 'transforms'];

const plain = (key: string): string => key.toLowerCase().replace(/[\s_-]/g, '');

/** What a file's metadata says; undefined where it says nothing of this kind. */
export function readPreprocessing(metadata: ReadonlyMap<string, string>): Preprocessing | undefined {
  const facts = new Map<Fact, { key: string; value: unknown }>();
  const note = (key: string, name: string, value: unknown): void => {
    const fact = (Object.keys(NAMES) as Fact[]).find((f) => (NAMES[f] as readonly string[]).includes(plain(name)));
    if (fact && !facts.has(fact)) facts.set(fact, { key, value });
  };
  for (const [key, text] of metadata) {
    const object = OBJECTS.includes(plain(key)) ? jsonObject(text) : undefined;
    if (!object) note(key, key, text);
    else for (const [name, value] of Object.entries(object)) note(key, name, value);
  }
  const used = new Set<string>();
  const read = <T>(fact: Fact, as: (value: unknown) => T | undefined): T | undefined => {
    const found = facts.get(fact);
    const value = found && as(found.value);
    if (value !== undefined) used.add(found!.key);
    return value;
  };
  const normalization = normalizationOf(read);
  const size = read('size', sizeOf);
  const share = read('cropShare', (v) => numbersOf(v)?.find((n) => n > 0 && n <= 1));
  const resize = read('resize', (v) => numbersOf(v)?.find((n) => n >= 1)) ?? (share && size ? Math.floor(size[0] / share) : undefined);
  const found = {
    ...(normalization ? { normalization } : {}),
    ...(resize !== undefined ? { resize } : {}),
    ...(size ? { size } : {}),
    ...withValue('interpolation', read('interpolation', interpolationOf)),
    ...withValue('order', read('order', orderOf)),
  };
  return Object.keys(found).length > 0 ? { ...found, keys: [...used] } : undefined;
}

const withValue = <K extends string, V>(key: K, value: V | undefined): Partial<Record<K, V>> =>
  value === undefined ? {} : ({ [key]: value } as Partial<Record<K, V>>);

function normalizationOf(read: <T>(fact: Fact, as: (value: unknown) => T | undefined) => T | undefined): Normalization | undefined {
  const mean = read('mean', numbersOf);
  const std = read('std', (v) => {
    const list = numbersOf(v);
    return list?.every((n) => n > 0) ? list : undefined;
  });
  const scale = read('scale', (v) => numbersOf(v)?.find((n) => n > 0 && n <= 1));
  if (mean || std || scale !== undefined) {
    // Means of pixels from 0 to 255 lie far above those of pixels from 0 to 1.
    const large = [...(mean ?? []), ...(std ?? [])].some((n) => Math.abs(n) > 2);
    return { scale: scale ?? (large ? 1 : 1 / 255), mean: mean ?? [0], std: std ?? [1] };
  }
  const range = read('range', (v) => RANGES[plain(String(v))]);
  return range;
}

/** Values of `Image.NominalPixelRange`. */
const RANGES: Readonly<Record<string, Normalization>> = {
  nominalrange0255: { scale: 1, mean: [0], std: [1] },
  normalized01: { scale: 1 / 255, mean: [0], std: [1] },
  normalized11: { scale: 1 / 255, mean: [0.5], std: [0.5] },
  nominalrange16235: { scale: 219 / 255, mean: [-16], std: [1] },
};

/** Numbers of a list or text such as '0.485, 0.456, 0.406', '[0.5]' or '(224, 224)'; of an object such as { height, width } its values. */
function numbersOf(value: unknown): number[] | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? [value] : undefined;
  if (Array.isArray(value)) return value.length > 0 && value.every((v) => typeof v === 'number' && Number.isFinite(v)) ? value : undefined;
  if (typeof value === 'object' && value !== null) return numbersOf(Object.values(value));
  if (typeof value !== 'string') return undefined;
  const object = jsonObject(value);
  if (object) return numbersOf(object);
  const parts = value
    .replace(/[[\](){}]/g, ' ')
    .split(/[\s,;x×]+/i)
    .filter((p) => p !== '');
  const list = parts.map(Number);
  return list.length > 0 && list.every(Number.isFinite) ? list : undefined;
}

/** Height and width: of one number both, of [channels, height, width] the last two, of [batch, height, width, channels] the middle. */
function sizeOf(value: unknown): readonly [number, number] | undefined {
  const list = numbersOf(value)?.filter((n) => n > 4);
  if (!list || list.some((n) => !Number.isInteger(n))) return undefined;
  if (list.length === 1) return [list[0], list[0]];
  return list.length === 2 ? [list[0], list[1]] : undefined;
}

function interpolationOf(value: unknown): Interpolation | undefined {
  // PIL's numbers: 2 is bilinear, 3 bicubic.
  const text = plain(String(value));
  if (text.includes('bicubic') || text === '3') return 'bicubic';
  return text.includes('bilinear') || text === '2' ? 'bilinear' : undefined;
}

function orderOf(value: unknown): 'rgb' | 'bgr' | undefined {
  const text = plain(String(value));
  if (text.startsWith('rgb')) return 'rgb';
  return text.startsWith('bgr') ? 'bgr' : undefined;
}

function jsonObject(text: string): Record<string, unknown> | undefined {
  if (!text.trim().startsWith('{')) return undefined;
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

const figures = (list: readonly number[]): string => list.map((n) => Number(n.toPrecision(4))).join(', ');

/** In words, for `inspect` and the notes of a run. */
export function preprocessingText(p: Preprocessing): string {
  const parts: string[] = [];
  if (p.resize !== undefined) parts.push(`shorter side to ${p.resize}`);
  if (p.size) parts.push(`crop ${p.size[0]}×${p.size[1]}`);
  if (p.interpolation) parts.push(p.interpolation);
  if (p.order) parts.push(p.order.toUpperCase());
  const n = p.normalization;
  if (n) parts.push(`scale ${Number(n.scale.toPrecision(4))}, mean ${figures(n.mean)}, std ${figures(n.std)}`);
  return `${parts.join('; ')} (from ${p.keys.join(', ')})`;
}
