/** A model file as large exporters write it: the graph in one file, the weights in another beside it. */
import { writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { encode } from '../codec';
import type { Model } from '../model';
import { modelToProto } from '../model-proto';
import { modelSpec, type TensorProto } from '../schema';

/** Writes the model to `path`, the data of its initializers to `location` (as the file names it). Returns the path of the data. */
export function saveWithExternalData(model: Model, path: string, location = `${basename(path)}.data`): string {
  const proto = modelToProto(model);
  const data: Uint8Array[] = [];
  let offset = 0;
  const initializer = proto.graph!.initializer.map((t): TensorProto => {
    const bytes = t.rawData ?? new Uint8Array(0);
    const fields = { location, offset, length: bytes.byteLength };
    data.push(bytes);
    offset += bytes.byteLength;
    const externalData = Object.entries(fields).map(([key, value]) => ({ key, value: String(value) }));
    return { ...t, rawData: undefined, dataLocation: 1, externalData };
  });
  writeFileSync(path, Buffer.concat(encode({ ...proto, graph: { ...proto.graph!, initializer } }, modelSpec).chunks));
  const dataPath = join(dirname(path), location);
  writeFileSync(dataPath, Buffer.concat(data));
  return dataPath;
}
