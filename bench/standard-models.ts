/** The ONNX standard's own test models with their inputs and outputs, as `onnx/backend/test/data` holds them. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { decode } from '../src/engine/onnx/codec';
import type { ValueInfo } from '../src/engine/onnx/model';
import { type TensorProto, tensorSpec } from '../src/engine/onnx/schema';
import { elementCount, Tensor, tensorFromProto } from '../src/engine/onnx/tensor';

export const FAMILIES = ['node', 'simple', 'pytorch-converted', 'pytorch-operator', 'light'] as const;
export type Family = (typeof FAMILIES)[number];

export interface StandardModel {
  readonly family: Family;
  readonly name: string;
  readonly file: string;
  /** Folder of one set of inputs and outputs; the light models have one output each, and inputs by a rule. */
  readonly set?: string;
  readonly lightOutput?: string;
}

/** All models of a family, by name. @throws Error where the folder is not there */
export function standardModels(folder: string, family: Family): StandardModel[] {
  const root = join(folder, family);
  if (!existsSync(root)) throw new Error(`there is no folder ${root}: unpack the ONNX backend tests there`);
  const names = readdirSync(root).sort();
  if (family === 'light')
    return names
      .filter((n) => n.endsWith('.onnx'))
      .map((n) => ({ family, name: n.slice(0, -5), file: join(root, n), lightOutput: join(root, `${n.slice(0, -5)}_output_0.pb`) }));
  return names.flatMap((name): StandardModel[] => {
    const file = join(root, name, 'model.onnx');
    if (!existsSync(file)) return [];
    const sets = readdirSync(join(root, name)).filter((n) => n.startsWith('test_data_set_'));
    if (sets.length === 0) return [{ family, name, file }];
    return sets.sort().map((set) => ({ family, name: sets.length > 1 ? `${name}/${set}` : name, file, set: join(root, name, set) }));
  });
}

const readTensor = (path: string): Tensor =>
  tensorFromProto(decode<TensorProto>(readFileSync(path), tensorSpec), () => {
    throw new Error(`${path} keeps its data in another file`);
  });

const isTensor = (v: ValueInfo): boolean => v.proto?.type?.tensorType !== undefined;

/**
 * The tensors that a set gives for inputs or outputs, by name; undefined for what is no tensor (a sequence, an optional value) or has
 * no file.
 */
function tensorsOf(folder: string, kind: 'input' | 'output', values: readonly ValueInfo[]): Map<string, Tensor | undefined> {
  return new Map(
    values.map((value, i) => {
      const path = join(folder, `${kind}_${i}.pb`);
      return [value.name, isTensor(value) && existsSync(path) ? readTensor(path).renamed(value.name) : undefined];
    }),
  );
}

/** The light models' input by the standard's rule: 0, 1/n, 2/n … for n elements. */
function rampOf(value: ValueInfo): Tensor {
  const dims = (value.shape ?? []).map((d) => (typeof d === 'number' ? d : 1));
  const n = elementCount(dims);
  return Tensor.float32(
    value.name,
    dims,
    Float32Array.from({ length: n }, (_, i) => i / n),
  );
}

export interface StandardData {
  readonly inputs: ReadonlyMap<string, Tensor | undefined>;
  readonly outputs: ReadonlyMap<string, Tensor | undefined>;
}

/** What the model is fed and what the standard says comes out. */
export function standardData(model: StandardModel, inputs: readonly ValueInfo[], outputs: readonly ValueInfo[]): StandardData {
  if (model.lightOutput)
    return {
      inputs: new Map(inputs.map((v) => [v.name, rampOf(v)])),
      outputs: new Map(outputs.map((v) => [v.name, readTensor(model.lightOutput!).renamed(v.name)])),
    };
  if (!model.set) return { inputs: new Map(inputs.map((v) => [v.name, undefined])), outputs: new Map() };
  return { inputs: tensorsOf(model.set, 'input', inputs), outputs: tensorsOf(model.set, 'output', outputs) };
}
