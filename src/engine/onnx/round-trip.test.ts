/** Real models, and the standard's own test models, through the reader and the writer (needs ESPALIER_DATA). */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { describe, expect, it } from 'vitest';
import { Random } from '../random';
import { type RuntimeTensor, Session } from '../runtime/onnxruntime';
import { decode, encode } from './codec';
import { modelBytes, parseModel } from './file';
import type { Model } from './model';
import { type ModelProto, modelSpec, type TensorProto, tensorSpec } from './schema';
import { type DataType, elementCount, tensorFromProto } from './tensor';

const data = process.env['ESPALIER_DATA'] ?? '';
const standard = join(data, 'onnx-node-tests');
const present = data !== '' && existsSync(join(data, 'models')) && existsSync(standard);

const bytesOf = (path: string): Uint8Array => new Uint8Array(readFileSync(path));
const listed = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true }).flatMap((e) => {
    const path = join(folder, e.name);
    if (e.isDirectory()) return existsSync(join(path, 'model.onnx')) ? [join(path, 'model.onnx')] : [];
    return e.name.endsWith('.onnx') ? [path] : [];
  });
const real = present ? listed(join(data, 'models')) : [];
const conformance = present ? readdirSync(standard).flatMap((kind) => listed(join(standard, kind))) : [];

/** Decoding what was encoded gives the same message again. */
function comesBack(bytes: Uint8Array): boolean {
  const first = decode<ModelProto>(bytes, modelSpec);
  const { chunks } = encode(first, modelSpec);
  return isDeepStrictEqual(decode(new Uint8Array(Buffer.concat(chunks)), modelSpec), first);
}

const arrays: Partial<Record<DataType, (values: readonly number[]) => RuntimeTensor['data']>> = {
  float32: (v) => Float32Array.from(v),
  int64: (v) => BigInt64Array.from(v, BigInt),
  int32: (v) => Int32Array.from(v),
  uint8: (v) => Uint8Array.from(v),
  int8: (v) => Int8Array.from(v),
  bool: (v) => Uint8Array.from(v),
};

/** The inputs that come with a conformance model; undefined where an input or output is of a type that is not passed here. */
function storedFeeds(path: string, { graph }: Model): Record<string, RuntimeTensor> | undefined {
  // onnxruntime-node dies where an output is of a type that JavaScript has no array for.
  if (!graph.outputs.every((o) => o.proto?.type?.tensorType && arrays[o.type])) return undefined;
  const feeds: Record<string, RuntimeTensor> = {};
  for (const [i, { name, proto }] of graph.inputs.entries()) {
    const file = join(dirname(path), 'test_data_set_0', `input_${i}.pb`);
    if (!proto?.type?.tensorType || !existsSync(file)) return undefined;
    const t = tensorFromProto(decode<TensorProto>(bytesOf(file), tensorSpec), () => new Uint8Array(0));
    const make = arrays[t.type];
    if (!make) return undefined;
    feeds[name] = { type: t.type, shape: t.dims, data: make(t.numbers()) };
  }
  return feeds;
}

/** One sample of noise for a real model. */
function noise({ graph }: Model): Record<string, RuntimeTensor> {
  const random = new Random(5);
  return Object.fromEntries(
    graph.inputs.map(({ name, shape }) => {
      const lengths = shape!.map((d) => (typeof d === 'number' ? d : 1));
      const data = Float32Array.from({ length: elementCount(lengths) }, () => random.normal());
      return [name, { type: 'float32', shape: lengths, data }];
    }),
  );
}

/** What onnxruntime makes of the model, in full, or why it does not. */
async function outputsOf(bytes: Uint8Array, feeds: Record<string, RuntimeTensor>): Promise<unknown> {
  let session: Session | undefined;
  try {
    session = await Session.create(bytes, { threads: 1, optimization: 'disabled' });
    return await session.run(feeds);
  } catch {
    return 'refused';
  } finally {
    await session?.release();
  }
}

describe('round trip (needs ESPALIER_DATA)', () => {
  it.skipIf(!present)('finds the models', () => {
    expect(real.length).toBeGreaterThanOrEqual(6);
    expect(conformance.length).toBeGreaterThan(1000);
  });

  it.skipIf(!present)('of every conformance model: the message is the same', () => {
    expect(conformance.filter((path) => !comesBack(bytesOf(path)))).toEqual([]);
  });

  it.skipIf(!present)('of every conformance model: reading what was written gives the same file', () => {
    const differing = conformance.filter((path) => {
      const once = modelBytes(parseModel(bytesOf(path)));
      return Buffer.compare(once, modelBytes(parseModel(once))) !== 0;
    });
    expect(differing).toEqual([]);
  });

  it.skipIf(!present)('of one conformance model in three: onnxruntime computes the same', async () => {
    let compared = 0;
    const differing: string[] = [];
    for (const path of conformance.filter((p, i) => i % 3 === 0 && p.includes('test_'))) {
      const bytes = bytesOf(path);
      const model = parseModel(bytes);
      const feeds = storedFeeds(path, model);
      if (!feeds || /random|bernoulli|dropout/.test(path)) continue;
      const before = await outputsOf(bytes, feeds);
      if (before === 'refused') continue;
      compared++;
      if (!isDeepStrictEqual(await outputsOf(modelBytes(model), feeds), before)) differing.push(path);
    }
    expect(differing).toEqual([]);
    expect(compared).toBeGreaterThan(200);
  });

  it.skipIf(!present).each(real.map((path) => [path.split(/[\\/]/).at(-1)!, path] as const))('of %s', async (_, path) => {
    const bytes = bytesOf(path);
    expect(comesBack(bytes)).toBe(true);
    const model = parseModel(bytes);
    const feeds = noise(model);
    const before = await outputsOf(bytes, feeds);
    expect(before).not.toBe('refused');
    expect(isDeepStrictEqual(await outputsOf(modelBytes(model), feeds), before)).toBe(true);
  });
});
