/** An npz archive for a model with several inputs: one array for each, under its name, as one row a sample. */
import { basename } from 'node:path';
import { UserError } from '../errors';
import { arrayTruth, type NamedArray } from './arrays';
import type { InputForm } from './csv';
import type { Dataset, SampleField, Targets } from './dataset';
import type { NpyArray } from './npy';

/** Endings of array names by part; without one, an array is of the only part there is. */
const PARTS = { train: ['_train', '-train', '.train'], test: ['_test', '-test', '.test'] } as const;
const LABELS = ['y', 'labels', 'label'];

/** True where the archive has an array for each of the model's inputs, in any part. */
export function hasFields(arrays: ReadonlyMap<string, NpyArray>, inputs: readonly InputForm[]): boolean {
  const endings = ['', ...PARTS.train, ...PARTS.test];
  return inputs.length > 0 && endings.some((end) => inputs.every((i) => arrays.has(`${i.name}${end}`)));
}

/**
 * Training and test part of an archive: arrays called like the model's inputs with _train or _test behind, or just so for one part, which is the test part.
 * Labels are y or labels with the same ending, or arrays called like the model's outputs, which are then its targets.
 * @throws UserError where arrays of a part have different numbers of samples
 */
export function fieldParts(
  path: string,
  arrays: ReadonlyMap<string, NpyArray>,
  inputs: readonly InputForm[],
  outputs: readonly string[],
): { train?: Dataset; test?: Dataset } {
  const part = (endings: readonly string[], which: string): Dataset | undefined => {
    const end = endings.find((e) => inputs.every((i) => arrays.has(`${i.name}${e}`)));
    return end === undefined ? undefined : dataset(path, `${basename(path)} ${which}`, arrays, inputs, outputs, end);
  };
  return { train: part(PARTS.train, 'train'), test: part([...PARTS.test, ''], 'test') };
}

function dataset(
  path: string,
  name: string,
  arrays: ReadonlyMap<string, NpyArray>,
  inputs: readonly InputForm[],
  outputs: readonly string[],
  end: string,
): Dataset {
  const named = (array: string): NamedArray => ({ name: `${path} › ${array}`, array: arrays.get(array)! });
  const columns = inputs.map((i) => named(`${i.name}${end}`));
  const count = columns[0].array.shape[0] ?? 0;
  for (const c of columns) {
    if (c.array.shape[0] !== count || count === 0) {
      throw new UserError(
        `${c.name} has the shape (${c.array.shape.join(', ')}), but ${columns[0].name} has (${columns[0].array.shape.join(', ')}): the number of samples comes first, and is the same for all.`,
        'Save arrays with one row a sample.',
      );
    }
  }
  const fields = columns.map((c, i): SampleField => ({ name: inputs[i].name, shape: c.array.shape.slice(1) }));
  const sizes = columns.map((c) => c.array.values.length / count);
  const row = sizes.reduce((a, b) => a + b, 0);
  const values = new Float32Array(count * row);
  let offset = 0;
  columns.forEach(({ array }, k) => {
    const size = sizes[k];
    for (let r = 0; r < count; r++) for (let i = 0; i < size; i++) values[r * row + offset + i] = array.values[r * size + i];
    offset += size;
  });
  const samples: Dataset =
    fields.length === 1 ? { name, count, shape: fields[0].shape, inputs: values } : { name, count, shape: [row], fields, inputs: values };
  const label = LABELS.map((l) => `${l}${end}`).find((l) => arrays.has(l));
  if (label !== undefined) return { ...samples, ...arrayTruth(named(label), columns[0].name, count) };
  const answered = outputs.filter((o) => arrays.has(`${o}${end}`) && !inputs.some((i) => i.name === o));
  if (answered.length === 0) return samples;
  const targets: Targets = {
    outputs: answered.map((o) => {
      const { name: called, array } = named(`${o}${end}`);
      if (array.shape[0] !== count)
        throw new UserError(`${called} has ${array.shape[0]} rows for ${count} samples.`, 'Save arrays with one row a sample.');
      return { name: o, width: array.values.length / count, values: Float32Array.from(array.values) };
    }),
  };
  return { ...samples, targets };
}
