/**
 * TensorFlow.js layers models: `model.json` with the layers and a manifest of weights in binary shards beside it. Images come in as
 * N, H, W, C there and as N, C, H, W in the graph made here.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { UserError } from '../errors';
import type { Model } from '../onnx/model';
import { headText, isTfjsText, type ModelFormat } from './format';
import { modelFromKeras, parseObject } from './keras-config';
import { isObject, type JsonObject, readTopology } from './keras-topology';
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

const manifest = z.array(z.object({ paths: z.array(z.string()), weights: z.unknown() }));

/** The names of the binary files, as the manifest groups them. @throws UserError where it is wrong, or leads out of the model's folder */
function shardGroups(json: JsonObject, path: string): Array<{ paths: string[]; weights: unknown }> {
  const parsed = manifest.safeParse(json['weightsManifest'] ?? []);
  if (!parsed.success)
    throw new UserError(`${path}: its weightsManifest is no list of groups with paths and weights`, 'Save the model again.');
  for (const shard of parsed.data.flatMap((g) => g.paths)) {
    if (shard === '' || /^[\\/]/.test(shard) || /^[A-Za-z]:/.test(shard) || shard.includes('\0') || shard.split(/[\\/]/).includes('..'))
      throw new UserError(
        `${path} keeps weights in '${shard}', outside the model's folder; this is refused`,
        'Put the weight files beside the model and name them without a path.',
      );
  }
  return parsed.data.map((g) => ({ paths: g.paths, weights: g.weights }));
}

async function readManifest(json: JsonObject, path: string): Promise<Map<string, Weight>> {
  const folder = dirname(path);
  const weights = new Map<string, Weight>();
  for (const group of shardGroups(json, path)) {
    const shards: Buffer[] = [];
    for (const shard of group.paths) {
      const file = join(folder, shard);
      if (!existsSync(file)) throw new UserError(`${path} keeps weights in '${shard}', which is not beside it`, `Copy ${file} there.`);
      shards.push(await readFile(file));
    }
    for (const [name, weight] of decodeWeights(parseSpecs(group.weights, path), Buffer.concat(shards))) weights.set(name, weight);
  }
  return weights;
}

const readJson = async (path: string): Promise<JsonObject> => parseObject(await readFile(path, 'utf8'), path);

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
    if (json['format'] === 'graph-model' || 'node' in topology)
      throw new UserError(
        `${path} is a TensorFlow.js graph model, whose layers were taken apart`,
        'Save the model as a layers model (tfjs_layers_model), or convert the original to ONNX.',
      );
    return fromTopology(topology, await readManifest(json, path));
  },
  async companions(path) {
    return shardGroups(await readJson(path), path).flatMap((g) => g.paths.map((p) => join(dirname(path), p)));
  },
};
