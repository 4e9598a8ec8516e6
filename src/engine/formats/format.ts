/** What a file format is to Espalier: recognised by its content, read into the one representation. */
import type { Model } from '../onnx/model';

export interface ModelFormat {
  /** For people: 'ONNX', 'Keras HDF5'. */
  readonly name: string;
  /** With the dot, in lower case. They decide only where no format recognises the content. */
  readonly extensions: readonly string[];
  /** True where the file is of this format. @param head the file's first bytes, HEAD_BYTES at most */
  sniff(path: string, head: Uint8Array): boolean;
  /** @throws UserError naming the layer or file that cannot be read, and the next step */
  read(path: string): Promise<Model>;
  /** Files beside `path` that belong to the model; absent: none. */
  companions?(path: string): Promise<readonly string[]>;
}

/** How much of a file `sniff` is shown. */
export const HEAD_BYTES = 8192;

/** The head as text, byte for byte. */
export const headText = (head: Uint8Array): string => Buffer.from(head.buffer, head.byteOffset, head.byteLength).toString('latin1');

/** True where text begins as TensorFlow.js' `model.json` does, and no other JSON file here. */
export const isTfjsText = (text: string): boolean =>
  /^(?:\u00ef\u00bb\u00bf|\ufeff)?\s*\{/.test(text) && /"(?:modelTopology|weightsManifest|layers-model|graph-model)"/.test(text);
