/** From a float model and a bit-width for each layer to a file that stock onnxruntime runs, with its sizes on disk. */
import { readFileSync } from 'node:fs';
import { brotliCompressSync, constants } from 'node:zlib';
import { quantizableLayers } from '../graph/layers';
import { forRuntimes } from '../graph/passes/for-runtimes';
import { saveModel } from '../onnx/file';
import type { Model } from '../onnx/model';
import { activationRanges } from './activation-ranges';
import { activationValues, exportQuantized } from './export-quantized';
import { type QuantizedLayer, quantizeLayer } from './quantized-layer';

export interface QuantizeModelOptions {
  /** 'u8': 8-bit activations around the quantised layers, which run on integer kernels; 'float': only weights are codes. */
  readonly activations: 'float' | 'u8';
  readonly calibration: { readonly inputs: Float32Array; readonly shape: readonly number[]; readonly count: number };
  readonly threads?: number;
}

/**
 * The layers of a model at a bit-width each; absent or above 8: the layer stays float and is not listed. Of layers that share a weight
 * the last one is listed, as its codes are what candidates were scored with.
 */
export function quantizeLayers(model: Model, bits: Readonly<Record<string, number>>): QuantizedLayer[] {
  const byWeight = new Map(quantizableLayers(model).flatMap((l) => ((bits[l.name] ?? 32) <= 8 ? [[l.weight, l] as const] : [])));
  return [...byWeight.values()].map((l) => quantizeLayer(model, l, bits[l.name]));
}

/** The quantised form of a model whose batch normalisation is folded, ready to be written. */
export async function quantizeModel(model: Model, layers: readonly QuantizedLayer[], options: QuantizeModelOptions): Promise<Model> {
  if (layers.length === 0) return model;
  const values = options.activations === 'float' ? [] : activationValues(model, layers);
  // Recurrent layers alone have no integer kernels to quantise activations for.
  if (values.length === 0) return exportQuantized(model, { layers });
  const ranges = await activationRanges(model, values, options.calibration, { threads: options.threads });
  return exportQuantized(model, { layers, ranges });
}

/** Bytes of a file, and of the same after brotli (what a download or an archive of it takes). */
export function diskSizes(path: string): { fileBytes: number; brotliBytes: number } {
  const bytes = readFileSync(path);
  // The highest setting takes seconds a megabyte; lower ones lose little on large files.
  const quality = bytes.byteLength > 64 << 20 ? 7 : bytes.byteLength > 8 << 20 ? 9 : 11;
  const packed = brotliCompressSync(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: quality,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.byteLength,
      [constants.BROTLI_PARAM_LGWIN]: 24,
    },
  });
  return { fileBytes: bytes.byteLength, brotliBytes: packed.byteLength };
}

/** Writes a model in the form that runs fastest, and measures its file. */
export function writeModelFile(model: Model, path: string): { fileBytes: number; brotliBytes: number } {
  saveModel(forRuntimes(model), path);
  return diskSizes(path);
}
