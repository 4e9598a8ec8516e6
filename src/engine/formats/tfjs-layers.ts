/**
 * TensorFlow.js layers models: `model.json` with the layers and a manifest of weights in binary shards beside it. Images come in as
 * N, H, W, C there and as N, C, H, W in the graph made here.
 */
import { UserError } from '../errors';
import type { Model } from '../onnx/model';
import { headText, isTfjsText, type ModelFormat } from './format';
import { isGraphModel } from './graphdef';
import { modelFromKeras, parseObject } from './keras-config';
import { isObject, type JsonObject, readTopology } from './keras-topology';
import { readJson, readManifest, weightFiles } from './tfjs-manifest';
import { decodeWeights, parseSpecs } from './tfjs-weights';
import { NamedWeights, type Weight } from './weights';

/** What TensorFlow.js hands to a save handler, as far as it is read here. */
export interface ModelArtifacts {
  readonly modelTopology?: unknown;
  readonly weightSpecs?: unknown;
  readonly weightData?: ArrayBuffer | readonly ArrayBuffer[];
}

/** A model from what TensorFlow.js holds in memory when it saves one. @throws UserError naming the layer that cannot be read */
export function modelFromTfjs({ modelTopology, weightSpecs, weightData }: ModelArtifacts): Model {
  if (weightData === undefined) throw new UserError('the model was saved without its weights', 'Save it with its weights.');
  const parts = weightData instanceof ArrayBuffer ? [weightData] : weightData;
  const bytes = Buffer.concat(parts.map((p) => new Uint8Array(p)));
  const topology = typeof modelTopology === 'string' ? parseObject(modelTopology, "the model's topology") : modelTopology;
  return fromTopology(topology as JsonObject, decodeWeights(parseSpecs(weightSpecs, 'the model'), bytes));
}

function fromTopology(topology: JsonObject, weights: ReadonlyMap<string, Weight>): Model {
  // Keras' own JSON has the model one level further in.
  const { model_config: inner } = topology;
  const config = typeof inner === 'string' ? parseObject(inner, 'model_config') : isObject(inner) ? inner : topology;
  const model = modelFromKeras(readTopology(config), new NamedWeights(weights), 'tfjs');
  return { ...model, metadata: new Map([['espalier.source', 'tfjs-layers']]) };
}

export const tfjsLayers: ModelFormat = {
  name: 'TensorFlow.js',
  extensions: ['.json'],
  sniff(_path, head) {
    return isTfjsText(headText(head));
  },
  async read(path) {
    const json = await readJson(path);
    const topology = json['modelTopology'];
    if (!isObject(topology)) throw new UserError(`${path} describes no model: it has no modelTopology`, 'Save the model again.');
    if (isGraphModel(json)) return (await import('./tfjs-graph')).tfjsGraph.read(path);
    return fromTopology(topology, await readManifest(json, path));
  },
  companions: weightFiles,
};
