/** Masks as a file that other runs read: which weights of which layers stay. JSON; the bits of each mask are base64 of packed bytes. */
import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { UserError } from '../errors';
import type { Layer } from '../graph/layers';
import type { Model } from '../onnx/model';
import { elementCount } from '../onnx/tensor';
import { writeFileAtomic } from './atomic-file';

const FORMAT = 'espalier-mask-1';

const maskFileSchema = z.object({
  format: z.literal(FORMAT),
  /** What made it, for people: method, model, data, seed. */
  origin: z.record(z.string(), z.union([z.string(), z.number()])),
  layers: z.array(
    z.object({
      name: z.string(),
      /** Shape of the layer's weight. */
      dims: z.array(z.int().min(1)),
      /** Weights that stay. */
      kept: z.int().min(0),
      /** One bit a weight in row-major order, 1 where it stays; the lowest bit of a byte first. */
      bits: z.base64(),
    }),
  ),
});

/** @param masks by initializer name; 1 where a weight stays */
export function saveMasks(
  path: string,
  model: Model,
  layers: readonly Layer[],
  masks: ReadonlyMap<string, Float32Array>,
  origin: Readonly<Record<string, string | number>>,
): void {
  const file: z.input<typeof maskFileSchema> = {
    format: FORMAT,
    origin,
    layers: layers
      .filter((l) => masks.has(l.weight))
      .map((l) => {
        const mask = masks.get(l.weight)!;
        const bytes = new Uint8Array(Math.ceil(mask.length / 8));
        let kept = 0;
        mask.forEach((m, i) => {
          if (m === 0) return;
          kept++;
          bytes[i >> 3] |= 1 << (i & 7);
        });
        const { dims } = model.graph.initializers.get(l.weight)!;
        return { name: l.name, dims: [...dims], kept, bits: Buffer.from(bytes).toString('base64') };
      }),
  };
  writeFileAtomic(path, `${JSON.stringify(file, null, 1)}\n`);
}

/**
 * The masks of a file for a model of the same architecture, by initializer name.
 * @throws UserError where the file is none, or names a layer that the model does not have in that shape
 */
export function loadMasks(path: string, model: Model, layers: readonly Layer[]): Map<string, Float32Array> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new UserError(`cannot read the mask ${path}`, 'Check "mask" in "method.options"; it is relative to the config.', { cause });
  }
  const parsed = maskFileSchema.safeParse(parsedJson(text));
  if (!parsed.success) throw new UserError(`${path} is no mask that Espalier wrote`, 'Name the mask.json of a run, in its folder best.');
  const masks = new Map<string, Float32Array>();
  for (const { name, dims, kept, bits } of parsed.data.layers) {
    const layer = layers.find((l) => l.name === name);
    const shape = layer && model.graph.initializers.get(layer.weight)!.dims;
    if (!layer || shape?.join() !== dims.join()) {
      throw new UserError(
        `${path}: the mask has a layer '${name}' of shape [${dims.join(', ')}], and the model ${shape ? `has it with [${shape.join(', ')}]` : 'has none of that name'}`,
        'A mask serves models of the architecture that it was found on.',
      );
    }
    const bytes = Buffer.from(bits, 'base64');
    const size = elementCount(dims);
    const mask = Float32Array.from({ length: size }, (_, i) => (bytes[i >> 3] >> (i & 7)) & 1);
    if (bytes.length !== Math.ceil(size / 8) || mask.reduce((a, m) => a + m, 0) !== kept)
      throw new UserError(
        `${path} is damaged: the mask of '${name}' does not hold what it says`,
        'Copy it again from the run that made it.',
      );
    masks.set(layer.weight, mask);
  }
  return masks;
}

function parsedJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
