import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UserError } from '../errors';
import { normalize } from '../graph/passes/normalize';
import type { Model } from '../onnx/model';
import { floatTensor, Session } from '../runtime/onnxruntime';
import { loadAnyModel, modelHash } from './registry';
import { channelsFirst } from './testing/tfjs';

const fixtures = join(__dirname, '../../../test/fixtures/formats/saved-model');

interface Answer {
  readonly shape: number[];
  readonly input: number[];
  readonly outputs: Record<string, { shape: number[]; values: number[] }>;
}
const expected = JSON.parse(readFileSync(join(fixtures, 'expected.json'), 'utf8')) as Record<string, Answer>;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'espalier-saved-model-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Largest distance from what TensorFlow answered, over all outputs. */
async function distance(model: Model, { shape, input, outputs }: Answer): Promise<number> {
  const turned = shape.length > 2 ? channelsFirst(Float32Array.from(input), shape) : { data: Float32Array.from(input), shape };
  const session = await Session.create(model, { threads: 1 });
  try {
    const results = await session.run({ [model.graph.inputs[0].name]: floatTensor(turned.data, turned.shape) });
    let largest = 0;
    for (const [name, { shape: dims, values }] of Object.entries(outputs)) {
      const wanted = dims.length > 2 ? channelsFirst(Float32Array.from(values), dims) : { data: values, shape: dims };
      expect(results[name].shape).toEqual(wanted.shape);
      const got = results[name].data as Float32Array;
      for (const [i, v] of [...wanted.data].entries()) largest = Math.max(largest, Math.abs(got[i] - v));
    }
    return largest;
  } finally {
    await session.release();
  }
}

describe('SavedModels give the same as in TensorFlow (make_saved_models.py)', () => {
  it.each(Object.keys(expected))('%s', async (name) => {
    const model = await loadAnyModel(join(fixtures, name));
    expect(model.graph.outputs.map((o) => o.name).sort()).toEqual(Object.keys(expected[name].outputs).sort());
    expect(await distance(model, expected[name])).toBeLessThan(1e-5);
    const normalized = normalize(model);
    expect(await distance(normalized.model, expected[name])).toBeLessThan(1e-5);
  });

  it('a Keras export is a clean graph with the channels first, batch normalisation in its layer', async () => {
    const { model } = normalize(await loadAnyModel(join(fixtures, 'keras', 'saved_model.pb')));
    expect(model.metadata.get('espalier.source')).toBe('saved-model');
    expect(model.graph.inputs).toMatchObject([{ name: 'picture', shape: ['batch', 3, 8, 8] }]);
    const operators = model.graph.nodes.map((n) => n.opType);
    expect(operators).not.toContain('Transpose');
    expect(operators.filter((o) => o === 'Conv').length).toBe(3);
    expect(operators).not.toContain('Sqrt');
  });

  it('its hash follows the variables', async () => {
    const copy = join(folder, 'copy');
    cpSync(join(fixtures, 'functions'), copy, { recursive: true });
    const before = await modelHash(copy);
    expect(await modelHash(join(copy, 'saved_model.pb'))).toBe(before);
    const data = join(copy, 'variables', 'variables.data-00000-of-00001');
    const bytes = readFileSync(data);
    bytes[0] ^= 1;
    writeFileSync(data, bytes);
    expect(await modelHash(copy)).not.toBe(before);
  });
});

describe('what cannot be read says so', () => {
  const damagedBy: ReadonlyArray<readonly [what: string, damage: (folder: string) => void, message: RegExp]> = [
    ['an empty file', (f) => writeFileSync(join(f, 'saved_model.pb'), ''), /saved_model\.pb holds no graph of a TensorFlow SavedModel/],
    ['a text', (f) => writeFileSync(join(f, 'saved_model.pb'), 'hello there'), /: not a valid SavedModel: unreadable field at byte \d+/],
    ['half a graph', (f) => cut(join(f, 'saved_model.pb'), 0.5), /: not a valid SavedModel: unreadable field at byte 2/],
    [
      'no variables',
      (f) => rmSync(join(f, 'variables'), { recursive: true }),
      /variables\.index, the index of the model's variables, is not there/,
    ],
    ['half an index', (f) => cut(join(f, 'variables', 'variables.index'), 0.5), /variables\.index: the table does not end as one does/],
    ['no values', (f) => rmSync(join(f, DATA)), /variables\.data-00000-of-00001, which holds the model's variables, is not there/],
    [
      'a tenth of the values',
      (f) => cut(join(f, DATA), 0.1),
      /the variable '.+' of shape \[.+\] does not lie whole in variables\.data-00000-of-00001/,
    ],
  ];
  const DATA = join('variables', 'variables.data-00000-of-00001');
  const cut = (path: string, share: number): void => {
    const bytes = readFileSync(path);
    writeFileSync(path, bytes.subarray(0, Math.floor(share * bytes.byteLength)));
  };

  it.each(damagedBy)('%s', async (what, damage, message) => {
    const copy = join(folder, what.replaceAll(' ', '-'));
    cpSync(join(fixtures, 'functions'), copy, { recursive: true });
    damage(copy);
    const error = await loadAnyModel(copy).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(UserError);
    expect((error as UserError).message).toMatch(message);
    expect((error as UserError).message).toContain(copy);
  });
});
