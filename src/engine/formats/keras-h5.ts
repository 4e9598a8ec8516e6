/** Keras models in HDF5 (`.h5`): the layers as JSON in an attribute, the weights in groups. Images come in as N, C, H, W here. */
import { readFile } from 'node:fs/promises';
import { UserError } from '../errors';
import type { ModelFormat } from './format';
import { HDF5_SIGNATURE, readHdf5 } from './hdf5';
import { dialectOf, modelFromKeras, parseObject } from './keras-config';
import { readTopology } from './keras-topology';
import { NamedWeights, type Weight } from './weights';

const WEIGHTS = 'model_weights';

export const kerasH5: ModelFormat = {
  name: 'Keras HDF5',
  extensions: ['.h5', '.hdf5'],
  sniff: (_path, head) => HDF5_SIGNATURE.every((byte, i) => head[i] === byte),
  async read(path) {
    const { attributes, datasets } = await readHdf5(await readFile(path), path, WEIGHTS);
    const config = attributes.get('model_config');
    if (config === undefined)
      throw new UserError(
        `${path} holds no model, at most the weights of one`,
        'Save the whole model: model.save(…) instead of save_weights(…).',
      );
    const weights = new Map<string, Weight>([...datasets].map(([name, weight]) => [name.slice(WEIGHTS.length + 1), weight]));
    const topology = readTopology(parseObject(config, `the model_config of ${path}`));
    const model = modelFromKeras(topology, new NamedWeights(weights), dialectOf(attributes.get('keras_version')));
    return { ...model, metadata: new Map([['espalier.source', 'keras-h5']]) };
  },
};
