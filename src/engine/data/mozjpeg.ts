/**
 * mozjpeg's decoder, compiled to WebAssembly. A bundle of its own (`mozjpeg.mjs`, as a module: it reads `import.meta`), which the others find beside
 * them when the first JPEG comes; its WebAssembly lies beside it there, and in its package where the sources run as they are.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import decode, { init } from '@jsquash/jpeg/decode.js';

const WASM = 'mozjpeg_dec.wasm';

/** Pixels as red, green, blue and alpha, row by row. */
export interface JpegPixels {
  readonly data: Uint8ClampedArray;
  readonly width: number;
  readonly height: number;
}

let ready: Promise<void> | undefined;

async function start(): Promise<void> {
  const beside = new URL(`./${WASM}`, import.meta.url);
  const bytes = readFileSync(existsSync(beside) ? beside : createRequire(import.meta.url).resolve(`@jsquash/jpeg/codec/dec/${WASM}`));
  // The package's types leave out the form with a compiled module, which its README documents for Node; those of Node leave out WebAssembly.
  const { WebAssembly } = globalThis as unknown as { WebAssembly: { compile(bytes: Uint8Array): Promise<object> } };
  const begin = init as unknown as (module: object) => Promise<void>;
  await begin(await WebAssembly.compile(bytes));
}

/** @throws Error where the bytes are no JPEG that it can read */
export async function decodeJpeg(bytes: Uint8Array): Promise<JpegPixels> {
  ready ??= start();
  await ready;
  // A copy: the decoder takes a whole buffer.
  return (await decode(new Uint8Array(bytes).buffer)) as JpegPixels;
}
