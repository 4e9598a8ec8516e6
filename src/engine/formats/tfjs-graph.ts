/**
 * TensorFlow.js graph models: `model.json` with TensorFlow's own operators, as its converter writes it from a SavedModel, and weights
 * in binary shards beside it. Images come in as N, H, W, C there and as N, C, H, W in the graph made here.
 */

import { headText, isTfjsText, type ModelFormat } from './format';
import { graphFromJson, isGraphModel } from './graphdef';
import { modelFromGraph } from './graphdef-model';
import { readJson, readManifest, weightFiles } from './tfjs-manifest';

export const tfjsGraph: ModelFormat = {
  name: 'TensorFlow.js graph',
  extensions: ['.json'],
  sniff(_path, head) {
    const text = headText(head);
    return isTfjsText(text) && /"format"\s*:\s*"graph-model"|"modelTopology"\s*:\s*\{\s*"(?:node|versions|library)"/.test(text);
  },
  async read(path) {
    const json = await readJson(path);
    if (!isGraphModel(json)) return (await import('./tfjs-layers')).tfjsLayers.read(path);
    const model = modelFromGraph(graphFromJson(json, await readManifest(json, path)), 'graph');
    return { ...model, metadata: new Map([['espalier.source', 'tfjs-graph']]) };
  },
  companions: weightFiles,
};
