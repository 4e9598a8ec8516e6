/** ONNX files (`onnx/file.ts` reads them). */
import { externalFiles, loadModel } from '../onnx/file';
import type { ModelFormat } from './format';

/** What a ModelProto begins with in practice: its version, producer, graph or operator sets. The format has no signature. */
const FIRST_BYTES = new Set([0x08, 0x12, 0x3a, 0x42]);

export const onnx: ModelFormat = {
  name: 'ONNX',
  extensions: ['.onnx'],
  sniff: (_path, head) => head.length > 0 && FIRST_BYTES.has(head[0]),
  read: async (path) => loadModel(path),
  companions: async (path) => externalFiles(path),
};
