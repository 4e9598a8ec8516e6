/** Deep Compression files (`.esdc`), which the method of that name writes. */
import { readFile } from 'node:fs/promises';
import { decodeModel, isDeepCompressed } from '../quantization/deep-compression-file';
import type { ModelFormat } from './format';

export const deepCompression: ModelFormat = {
  name: 'Deep Compression',
  extensions: ['.esdc'],
  sniff: (_path, head) => isDeepCompressed(head),
  read: async (path) => decodeModel(await readFile(path)),
};
