/** Test support: TensorFlow.js on its pure JavaScript backend, and a comparison of its answers with those of the imported graph. */
import type * as layersModule from '@tensorflow/tfjs-layers';
import { loadTensorBackend, type Tf } from '../../agents/tensor-backend';
import type { Model } from '../../onnx/model';
import { elementCount } from '../../onnx/tensor';
import { Random } from '../../random';
import { floatTensor, Session } from '../../runtime/onnxruntime';
import type { ModelArtifacts } from '../tfjs-layers';
import { permuted } from '../weights';

export type Layers = typeof layersModule;
export type LayersModel = layersModule.LayersModel;

export async function loadTfjs(): Promise<{ tf: Tf; layers: Layers }> {
  const { tf } = await loadTensorBackend('js');
  const layers = await import('@tensorflow/tfjs-layers');
  return { tf, layers };
}

/** Gives every weight random values, so that none (a bias, a running mean) hides behind its initial zero. Variances stay positive. */
export function randomizeWeights(tf: Tf, model: LayersModel, seed: number): void {
  const random = new Random(seed);
  const tensors = model.weights.map((w) => {
    const shape = w.shape as number[];
    const positive = /variance|gamma/.test(w.name);
    const values = Float32Array.from({ length: elementCount(shape) }, () => (positive ? 0.5 + random.uniform() : random.normal() * 0.3));
    return tf.tensor(values, shape);
  });
  model.setWeights(tensors);
  for (const t of tensors) t.dispose();
}

/** What TensorFlow.js writes when it saves the model. */
export async function artifactsOf(model: LayersModel): Promise<ModelArtifacts & { weightSpecs: Array<{ name: string }> }> {
  let found: unknown;
  await model.save({
    save: async (artifacts) => {
      found = artifacts;
      return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
    },
  });
  return found as ModelArtifacts & { weightSpecs: Array<{ name: string }> };
}

/** Channels first, as the imported graph has them; values of two axes stay as they are. */
export function channelsFirst(data: Float32Array, shape: readonly number[]): Values {
  if (shape.length < 3) return { data, shape };
  const last = shape.length - 1;
  const turned = permuted({ dims: shape, data }, [0, last, ...shape.map((_, i) => i).slice(1, -1)]);
  return { data: turned.data, shape: turned.dims };
}

const BATCH = 2;

/** The largest difference between an output of the original and of the imported graph, on random inputs. */
export async function largestDifference(tf: Tf, original: LayersModel, imported: Model, seed = 7): Promise<number> {
  const random = new Random(seed);
  const inputs = original.inputs.map((input) => {
    const shape = [BATCH, ...(input.shape.slice(1) as number[])];
    return { shape, data: Float32Array.from({ length: elementCount(shape) }, () => random.normal()) };
  });
  const tensors = inputs.map((i) => tf.tensor(i.data, i.shape));
  const answered = original.predict(tensors.length === 1 ? tensors[0] : tensors);
  const expected = (Array.isArray(answered) ? answered : [answered]).map((t) => channelsFirst(t.dataSync() as Float32Array, t.shape));
  return differenceOf(imported, inputs, expected);
}

/** Values with their axes, row by row. */
interface Values {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/**
 * The largest difference between the imported graph's outputs and those expected.
 * @param inputs channels last, in the graph's order
 * @param expected channels first
 * @returns infinity where an output holds NaN
 * @throws Error where an output has another shape
 */
export async function differenceOf(imported: Model, inputs: readonly Values[], expected: readonly Values[]): Promise<number> {
  const session = await Session.create(imported, { threads: 1 });
  try {
    const feeds = Object.fromEntries(
      imported.graph.inputs.map(({ name }, i) => {
        const { data, shape } = channelsFirst(inputs[i].data, inputs[i].shape);
        return [name, floatTensor(data, shape)];
      }),
    );
    const results = await session.run(feeds);
    let largest = 0;
    for (const [i, { name }] of imported.graph.outputs.entries()) {
      const { data, shape } = results[name];
      if (shape.join() !== expected[i].shape.join())
        throw new Error(`output ${name}: [${shape.join()}] where [${expected[i].shape.join()}] belongs`);
      for (const [at, value] of expected[i].data.entries()) {
        const difference = Math.abs(value - Number(data[at]));
        largest = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : Math.max(largest, difference);
      }
    }
    return largest;
  } finally {
    await session.release();
  }
}
