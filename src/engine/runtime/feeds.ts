/** From rows of samples to what a model's inputs take: one tensor an input, of the input's own type. */
import type { SampleField } from '../data/dataset';
import { UserError } from '../errors';
import type { ValueInfo } from '../onnx/model';
import { elementCount } from '../onnx/tensor';
import type { RuntimeTensor } from './onnxruntime';

/** How a sample's row is laid out. */
export interface SampleLayout {
  /** Of one sample, where the model has one input. */
  readonly shape: readonly number[];
  /** Where it has several: the row holds their values one after the other. */
  readonly fields?: readonly SampleField[];
}

/** One input's part of a row. */
interface Part {
  readonly input: Pick<ValueInfo, 'name' | 'type'>;
  readonly shape: readonly number[];
  /** Values before it in the row, its own, and of the whole row. */
  readonly offset: number;
  readonly size: number;
  readonly row: number;
}

/** Where each input finds its values in a row. @throws UserError where an input has none */
export function partsOf(inputs: ReadonlyArray<Pick<ValueInfo, 'name' | 'type'>>, { shape, fields }: SampleLayout): Part[] {
  if (!fields) {
    if (inputs.length !== 1) throw severalInputs(inputs);
    const size = elementCount(shape);
    return [{ input: inputs[0], shape, offset: 0, size, row: size }];
  }
  const row = fields.reduce((sum, f) => sum + elementCount(f.shape), 0);
  let offset = 0;
  const placed = new Map(
    fields.map((field): [string, { field: SampleField; offset: number }] => {
      const at = { field, offset };
      offset += elementCount(field.shape);
      return [field.name, at];
    }),
  );
  return inputs.map((input) => {
    const found = placed.get(input.name);
    if (!found) {
      throw new UserError(
        `the data has no values for the model's input '${input.name}' (it has ${fields.map((f) => f.name).join(', ')})`,
        'Save an npz archive with one array for each input, under its name.',
      );
    }
    return { input, shape: found.field.shape, offset: found.offset, size: elementCount(found.field.shape), row };
  });
}

export const severalInputs = (inputs: ReadonlyArray<{ readonly name: string }>): UserError =>
  new UserError(
    `the model has ${inputs.length} inputs (${inputs.map((i) => i.name).join(', ')}), but the data has samples for one`,
    'Save an npz archive with one array for each input, under its name, and name it in "data.files".',
  );

/** The values of one input for some rows, as floats: a view where it is the only one. */
export function valuesOf(part: Part, values: Float32Array, rows: number): Float32Array {
  if (part.size === part.row) return values;
  const out = new Float32Array(rows * part.size);
  for (let r = 0; r < rows; r++)
    out.set(values.subarray(r * part.row + part.offset, r * part.row + part.offset + part.size), r * part.size);
  return out;
}

/** Float values as a tensor of an input's type: token ids and masks are kept as floats, which hold whole numbers up to 2^24. @throws UserError for types that data cannot have */
export function typedTensor(input: Pick<ValueInfo, 'name' | 'type'>, values: Float32Array, shape: readonly number[]): RuntimeTensor {
  switch (input.type) {
    case 'float32':
      return { type: 'float32', shape, data: values };
    case 'int64': {
      const data = new BigInt64Array(values.length);
      for (let i = 0; i < data.length; i++) data[i] = BigInt(Math.trunc(values[i]));
      return { type: 'int64', shape, data };
    }
    case 'int32':
      return { type: 'int32', shape, data: Int32Array.from(values) };
    case 'uint8':
      return { type: 'uint8', shape, data: Uint8Array.from(values) };
    case 'int8':
      return { type: 'int8', shape, data: Int8Array.from(values) };
    case 'bool':
      return { type: 'bool', shape, data: Uint8Array.from(values, (v) => (v === 0 ? 0 : 1)) };
    default:
      throw new UserError(
        `the model's input '${input.name}' is of type ${input.type}, which data cannot be fed to`,
        'Export the model with float32, int64, int32, uint8, int8 or bool inputs.',
      );
  }
}

/**
 * What a session is fed for some rows.
 * @param values [rows, ...], as `layout` says
 * @param fed rows that the session takes, where its batch is fixed: those beyond are zeros
 */
export function feedsOf(
  inputs: ReadonlyArray<Pick<ValueInfo, 'name' | 'type'>>,
  layout: SampleLayout,
  values: Float32Array,
  rows: number,
  fed = rows,
): Record<string, RuntimeTensor> {
  let padded = values;
  if (rows < fed) {
    padded = new Float32Array((values.length / rows) * fed);
    padded.set(values);
  }
  return Object.fromEntries(
    partsOf(inputs, layout).map((part) => [part.input.name, typedTensor(part.input, valuesOf(part, padded, fed), [fed, ...part.shape])]),
  );
}
