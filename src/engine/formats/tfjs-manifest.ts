/** The binary files that a TensorFlow.js `model.json` keeps its weights in, and what they hold. */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { UserError } from '../errors';
import { parseObject } from './keras-config';
import type { JsonObject } from './keras-topology';
import { decodeWeights, parseSpecs } from './tfjs-weights';
import type { Weight } from './weights';

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

/** All weights, by name. @throws UserError naming the file that is missing or too short */
export async function readManifest(json: JsonObject, path: string): Promise<Map<string, Weight>> {
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

export const readJson = async (path: string): Promise<JsonObject> => parseObject(await readFile(path, 'utf8'), path);

/** The weight files of a model, as they lie beside it. */
export const weightFiles = async (path: string): Promise<string[]> =>
  shardGroups(await readJson(path), path).flatMap((g) => g.paths.map((p) => join(dirname(path), p)));
