/** Test support: TensorFlow.js graph models made node by node, and what TensorFlow.js' own executor answers on them. */
import type * as converter from '@tensorflow/tfjs-converter';
import type { Tf } from '../../agents/tensor-backend';
import type { Model } from '../../onnx/model';
import { elementCount } from '../../onnx/tensor';
import { Random } from '../../random';
import { channelsFirst, differenceOf } from './tfjs';

type Attribute = string | number | boolean | readonly number[] | readonly string[] | { readonly float: number } | { readonly type: string };
const base64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64');

function attributeJson(value: Attribute): object {
  if (typeof value === 'string') return { s: base64(value) };
  if (typeof value === 'number') return { i: String(value) };
  if (typeof value === 'boolean') return { b: value };
  if ('float' in value) return { f: value.float };
  if ('type' in value) return { type: value.type };
  const list = value as readonly (number | string)[];
  return { list: typeof list[0] === 'string' ? { s: list.map((s) => base64(String(s))) } : { i: list.map(String) } };
}

/** Writes the JSON and the weights of a graph model. */
export class GraphModelBuilder {
  private readonly nodes: object[] = [];
  private readonly specs: Array<{ name: string; shape: number[]; dtype: 'float32' | 'int32' }> = [];
  private readonly data: Array<Float32Array | Int32Array> = [];
  private readonly inputs: Array<{ name: string; shape: number[] }> = [];
  private readonly random: Random;

  constructor(seed = 1) {
    this.random = new Random(seed);
  }

  /** A placeholder with an open batch. */
  input(name: string, ...sample: number[]): string {
    const shape = [-1, ...sample];
    this.inputs.push({ name, shape });
    this.node('Placeholder', name, [], { dtype: { type: 'DT_FLOAT' } });
    (this.nodes.at(-1) as { attr: Record<string, object> }).attr['shape'] = { shape: { dim: shape.map((d) => ({ size: String(d) })) } };
    return name;
  }

  node(op: string, name: string, inputs: readonly string[], attributes: Readonly<Record<string, Attribute>> = {}): string {
    const attr = Object.fromEntries(Object.entries({ T: { type: 'DT_FLOAT' }, ...attributes }).map(([k, v]) => [k, attributeJson(v)]));
    this.nodes.push({ name, op, input: [...inputs], attr });
    return name;
  }

  /** A weight of normal draws; `positive` for variances. */
  weight(name: string, dims: readonly number[], positive = false): string {
    const data = Float32Array.from({ length: elementCount(dims) }, () =>
      positive ? this.random.between(0.5, 1.5) : this.random.normal() * 0.2,
    );
    return this.constant(name, dims, data, 'DT_FLOAT');
  }

  ints(name: string, ...values: number[]): string {
    return this.constant(name, [values.length], Int32Array.from(values), 'DT_INT32');
  }

  /** A matrix of two columns, as paddings are. */
  pairs(name: string, ...values: number[]): string {
    return this.constant(name, [values.length / 2, 2], Int32Array.from(values), 'DT_INT32');
  }

  int(name: string, value: number): string {
    return this.constant(name, [], Int32Array.of(value), 'DT_INT32');
  }

  float(name: string, value: number): string {
    return this.constant(name, [], Float32Array.of(value), 'DT_FLOAT');
  }

  private constant(name: string, dims: readonly number[], data: Float32Array | Int32Array, type: string): string {
    this.node('Const', name, [], { dtype: { type } });
    (this.nodes.at(-1) as { attr: Record<string, object> }).attr['value'] = {
      tensor: { dtype: type, tensorShape: { dim: dims.map((d) => ({ size: String(d) })) } },
    };
    this.specs.push({ name, shape: [...dims], dtype: type === 'DT_FLOAT' ? 'float32' : 'int32' });
    this.data.push(data);
    return name;
  }

  /** The contents of `model.json` and of its weight file. */
  build(...outputs: string[]): GraphModelFiles {
    const bytes = Buffer.concat(this.data.map((d) => new Uint8Array(d.buffer)));
    const info = (name: string): object => ({ name: `${name}:0`, dtype: 'DT_FLOAT' });
    const json = {
      format: 'graph-model',
      generatedBy: '2.15.0',
      modelTopology: { node: this.nodes, versions: { producer: 1482 } },
      signature: {
        inputs: Object.fromEntries(
          this.inputs.map(({ name, shape }) => [name, { ...info(name), tensorShape: { dim: shape.map((d) => ({ size: String(d) })) } }]),
        ),
        outputs: Object.fromEntries(outputs.map((name) => [name, info(name)])),
      },
      weightsManifest: [{ paths: ['group1-shard1of1.bin'], weights: this.specs }],
    };
    return { json, bytes, inputs: this.inputs, outputs };
  }
}

export interface GraphModelFiles {
  readonly json: {
    readonly modelTopology: object;
    readonly weightsManifest: Array<{ paths: string[]; weights: Array<{ name: string; shape: number[]; dtype: 'float32' | 'int32' }> }>;
    readonly [key: string]: unknown;
  };
  readonly bytes: Uint8Array;
  readonly inputs: ReadonlyArray<{ readonly name: string; readonly shape: readonly number[] }>;
  readonly outputs: readonly string[];
}

const BATCH = 2;

/** The largest difference between TensorFlow.js' outputs and those of the imported graph, on random inputs. */
export async function graphModelDifference(tf: Tf, files: GraphModelFiles, imported: Model): Promise<number> {
  const { loadGraphModel }: typeof converter = await import('@tensorflow/tfjs-converter');
  const [{ weights }] = files.json.weightsManifest;
  const original = await loadGraphModel({
    load: async () => ({ ...files.json, weightSpecs: weights, weightData: new Uint8Array(files.bytes).buffer }) as never,
  });
  const random = new Random(7);
  const fed = files.inputs.map(({ name, shape }) => {
    const lengths = [BATCH, ...shape.slice(1)];
    return { name, shape: lengths, data: Float32Array.from({ length: elementCount(lengths) }, () => random.normal()) };
  });
  try {
    const answered = original.execute(Object.fromEntries(fed.map((f) => [f.name, tf.tensor(f.data, f.shape)])), [...files.outputs]);
    const expected = (Array.isArray(answered) ? answered : [answered]).map((t) => channelsFirst(t.dataSync() as Float32Array, t.shape));
    return await differenceOf(imported, fed, expected);
  } finally {
    original.dispose();
  }
}
