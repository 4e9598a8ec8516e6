/** Keras 3 models (`.keras`): a zip archive of the layers as JSON and the weights in HDF5. Images come in as N, C, H, W here. */
import { readFile } from 'node:fs/promises';
import { strFromU8, unzipSync } from 'fflate';
import { UserError } from '../errors';
import { headText, type ModelFormat } from './format';
import { type Hdf5Content, readHdf5 } from './hdf5';
import { dialectOf, modelFromKeras, parseObject } from './keras-config';
import { isObject, type LayerTopology, type ModelTopology, readTopology } from './keras-topology';
import type { Weight, WeightSource } from './weights';

const CONFIG = 'config.json';
const WEIGHTS = 'model.weights.h5';
const METADATA = 'metadata.json';

/** Unpacked sizes beyond this are no model that fits into memory. */
const MAX_BYTES = 2 ** 31;

export const kerasZip: ModelFormat = {
  name: 'Keras 3',
  extensions: ['.keras'],
  sniff(_path, head) {
    const text = headText(head);
    return text.startsWith('PK\u0003\u0004') && (text.includes(CONFIG) || text.includes(METADATA));
  },
  async read(path) {
    const files = unpack(await readFile(path), path);
    const config = parseObject(strFromU8(entry(files, CONFIG, path)), `${CONFIG} in ${path}`);
    const topology = readTopology(config);
    const content = await readHdf5(entry(files, WEIGHTS, path), `${WEIGHTS} in ${path}`);
    const metadata = files[METADATA] ? parseObject(strFromU8(files[METADATA]), `${METADATA} in ${path}`) : {};
    const model = modelFromKeras(
      topology,
      new NumberedWeights(topology, content),
      dialectOf(isObject(metadata) ? metadata['keras_version'] : '3'),
    );
    return { ...model, metadata: new Map([['espalier.source', 'keras']]) };
  },
};

function unpack(bytes: Uint8Array, path: string): Record<string, Uint8Array> {
  try {
    return unzipSync(bytes, {
      filter: ({ name, originalSize }) => {
        if (![CONFIG, WEIGHTS, METADATA].includes(name)) return false;
        if (originalSize > MAX_BYTES)
          throw new UserError(`${name} in ${path} says it holds ${originalSize} bytes, which is too many`, 'Save the model again.');
        return true;
      },
    });
  } catch (cause) {
    if (cause instanceof UserError) throw cause;
    throw new UserError(`${path} cannot be unpacked`, 'It is damaged or was cut short; copy or save it again.', { cause });
  }
}

function entry(files: Readonly<Record<string, Uint8Array>>, name: string, path: string): Uint8Array {
  const found = Object.hasOwn(files, name) ? files[name] : undefined;
  if (!found) throw new UserError(`${path} holds no ${name}`, 'Save the whole model with Keras 3: model.save("model.keras").');
  return found;
}

/** Keras 3 names groups after classes, 'conv2d_1' for the second Conv2D, and numbers the weights of each layer. */
class NumberedWeights implements WeightSource {
  /** Group of each layer, by the names from the outermost model on, joined by slashes. */
  private readonly groups = new Map<string, string>();

  constructor(
    topology: ModelTopology,
    private readonly content: Hdf5Content,
  ) {
    this.place(topology, '', '');
  }

  private place(topology: ModelTopology, path: string, group: string): void {
    const used = new Map<string, number>();
    const named = this.childrenByName(`${group}layers`);
    for (const layer of topology.layers) {
      const base = groupNameOf(layer.className);
      const count = used.get(base) ?? 0;
      used.set(base, count + 1);
      // Newer versions note the layer's own name, older ones only count.
      const own = named.get(layer.name) ?? `${group}layers/${count === 0 ? base : `${base}_${count}`}`;
      const at = path === '' ? layer.name : `${path}/${layer.name}`;
      this.groups.set(at, own);
      this.placeHeld(layer, at, own);
      if (layer.inner) this.place(layer.inner, at, `${own}/`);
    }
  }

  /** Layers that wrappers hold: their groups are named after what they are there. */
  private placeHeld({ className, config }: LayerTopology, at: string, group: string): void {
    if (className === 'MultiHeadAttention')
      for (const part of ['query', 'key', 'value', 'attention_output'])
        this.groups.set(`${at}/${part}`, `${group}/${part.replace('attention_', '')}_dense`);
    const layer = config['layer'];
    const inner = isObject(layer) && isObject(layer['config']) ? layer['config']['name'] : undefined;
    if (typeof inner !== 'string') return;
    if (className !== 'Bidirectional') this.groups.set(`${at}/${inner}`, `${group}/layer`);
    for (const way of ['forward', 'backward'])
      if (className === 'Bidirectional') this.groups.set(`${at}/${way}_${inner.replace(/^forward_/, '')}`, `${group}/${way}_layer`);
  }

  private childrenByName(parent: string): ReadonlyMap<string, string> {
    const found = new Map<string, string>();
    for (const [path, name] of this.content.groupNames) {
      // The name is noted at the group or at the 'vars' inside it.
      const owner = path.endsWith('/vars') ? path.slice(0, -5) : path;
      if (owner.startsWith(`${parent}/`) && !owner.slice(parent.length + 1).includes('/')) found.set(name, owner);
    }
    return found;
  }

  of(path: readonly string[], order: readonly string[]): ReadonlyMap<string, Weight> {
    const group = this.groups.get(path.join('/'));
    const found = new Map<string, Weight>();
    for (const [i, short] of order.entries()) {
      // Recurrent layers keep them in their cell.
      const weight = this.content.datasets.get(`${group}/vars/${i}`) ?? this.content.datasets.get(`${group}/cell/vars/${i}`);
      if (weight) found.set(short, weight);
    }
    return found;
  }
}

/** As Keras turns class names into names: 'Conv2D' → 'conv2d', 'BatchNormalization' → 'batch_normalization', 'ReLU' → 're_lu'. */
function groupNameOf(className: string): string {
  const joined = className.replace(/\W+/g, '').replace(/(.)([A-Z][a-z]+)/g, '$1_$2');
  return joined.replace(/([a-z])([A-Z])/g, '$1_$2').toLowerCase();
}
