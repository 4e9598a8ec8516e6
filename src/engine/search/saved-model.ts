/** Models that are made once in the life of a run. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { loadModel, saveModel } from '../onnx/file';
import type { Model } from '../onnx/model';
import type { RunContext } from './run-context';

/**
 * A model from `checkpoint/`, where an earlier process had finished it (the journal knows its hash), else made now.
 * @param spent files of `checkpoint/` that are of use only until the model is there
 */
export async function savedModel(
  context: RunContext,
  name: string,
  make: () => Promise<Model>,
  spent: readonly string[] = [],
): Promise<Model> {
  const { folder, recorder } = context;
  const path = folder.checkpoint(name);
  const key = `model:${name}`;
  const hash = recorder.journal.recall<string>(key);
  if (hash === undefined || !existsSync(path) || sha256(path) !== hash) {
    saveModel(await make(), path);
    recorder.write({ type: 'measurement', key, result: sha256(path) });
  }
  for (const file of spent) folder.discard(folder.checkpoint(file));
  // Read back in either case, so that a run left alone and a resumed one go on with the very same model.
  return loadModel(path);
}

const sha256 = (path: string): string => createHash('sha256').update(readFileSync(path)).digest('hex');
