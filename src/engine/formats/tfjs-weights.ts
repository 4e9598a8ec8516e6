/** Weights as TensorFlow.js stores them: specifications in JSON, values one behind the other in binary data, 8 or 16 bits where quantised. */
import { z } from 'zod';
import { UserError } from '../errors';
import { elementCount, Tensor } from '../onnx/tensor';
import type { Weight } from './weights';

const weightSpec = z.object({
  name: z.string(),
  shape: z.array(z.number().int().nonnegative()),
  dtype: z.enum(['float32', 'int32', 'bool', 'string', 'complex64']),
  quantization: z
    .object({
      dtype: z.enum(['uint8', 'uint16', 'float16']),
      scale: z.number().optional(),
      min: z.number().optional(),
    })
    .optional(),
});
export type WeightSpec = z.infer<typeof weightSpec>;

const STORED = { float32: 4, int32: 4, bool: 1, uint8: 1, uint16: 2, float16: 2 } as const;

export function parseSpecs(json: unknown, file: string): WeightSpec[] {
  const parsed = z.array(weightSpec).safeParse(json);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new UserError(`${file}: the entry ${issue.path.join('.')} of its weights is wrong: ${issue.message}`, 'Save the model again.');
}

/**
 * The weights of one group of shards.
 * @param bytes all of the group's values, in the order of the specifications
 * @throws UserError naming the weight for which there are too few bytes
 */
export function decodeWeights(specs: readonly WeightSpec[], bytes: Uint8Array): Map<string, Weight> {
  const weights = new Map<string, Weight>();
  let at = 0;
  for (const spec of specs) {
    const { name, shape, quantization, dtype } = spec;
    if (dtype === 'string' || dtype === 'complex64')
      throw new UserError(
        `weight '${name}' is of type ${dtype}, which no layer that is read has`,
        'Export the model to ONNX from its own framework.',
      );
    const stored = quantization?.dtype ?? dtype;
    const length = elementCount(shape) * STORED[stored];
    if (!(at + length <= bytes.byteLength))
      throw new UserError(
        `weight '${name}' of dimensions [${shape.join(', ')}] needs ${length} bytes and ${Math.max(0, bytes.byteLength - at)} are left`,
        'A weight file is damaged or was cut short; copy it again.',
      );
    // A copy, since values need not be aligned in the file.
    weights.set(name, { dims: shape, data: values(spec, stored, bytes.slice(at, at + length)) });
    at += length;
  }
  return weights;
}

function values({ name, shape, quantization, dtype }: WeightSpec, stored: keyof typeof STORED, bytes: Uint8Array): Float32Array {
  const numbers = new Tensor(name, stored, shape, bytes).floats();
  if (!quantization || quantization.dtype === 'float16') return numbers;
  const { scale, min } = quantization;
  if (scale === undefined || min === undefined)
    throw new UserError(`weight '${name}' is quantised without a scale and a minimum`, 'Convert the model again.');
  // Codes times the scale above the minimum, in double precision and rounded once; whole numbers are rounded, as TensorFlow.js does.
  return numbers.map((code) => (dtype === 'int32' ? Math.round(code * scale + min) : code * scale + min));
}
