import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { strToU8, zipSync } from 'fflate';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UserError } from '../errors';
import { floatTensor, Session } from '../runtime/onnxruntime';
import { loadAnyModel } from './registry';
import { channelsFirst } from './testing/tfjs';

const fixtures = join(__dirname, '../../../test/fixtures/formats');
const expected = JSON.parse(readFileSync(join(fixtures, 'expected.json'), 'utf8')) as Record<string, { input: number[]; output: number[] }>;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'espalier-keras-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('Keras files give the same as in Keras (make_keras_files.py)', () => {
  it.each([
    ['mixed.keras', [2, 8, 8, 3]],
    ['mixed.h5', [2, 8, 8, 3]],
    ['row.keras', [2, 6, 2]],
  ])('%s', async (file, shape) => {
    const { input, output } = expected[file.split('.')[0]];
    const model = await loadAnyModel(join(fixtures, file));
    const turned = channelsFirst(Float32Array.from(input), shape);
    const session = await Session.create(model, { threads: 1 });
    try {
      const results = await session.run({ [model.graph.inputs[0].name]: floatTensor(turned.data, turned.shape) });
      const answer = results[model.graph.outputs[0].name].data as Float32Array;
      expect(answer.length).toBe(output.length);
      for (const [i, value] of output.entries()) expect(Math.abs(answer[i] - value)).toBeLessThan(1e-5);
    } finally {
      await session.release();
    }
  });

  it('names nodes of a model within a model after both', async () => {
    const { graph } = await loadAnyModel(join(fixtures, 'mixed.keras'));
    const names = graph.nodes.map((n) => n.name);
    expect(names).toContain('stem');
    expect(names).toContain('block/stem');
    expect(graph.initializers.get('stem/kernel')?.dims).toEqual([4, 3, 3, 3]);
    expect(graph.initializers.get('block/stem/depthwise_kernel')?.dims).toEqual([4, 1, 3, 3]);
  });

  it('is told apart from its name', async () => {
    const path = join(folder, 'renamed.onnx');
    writeFileSync(path, readFileSync(join(fixtures, 'mixed.h5')));
    expect((await loadAnyModel(path)).metadata.get('espalier.source')).toBe('keras-h5');
  });
});

describe('what cannot be read says so', () => {
  const zip = (files: Record<string, string>): Uint8Array =>
    zipSync(Object.fromEntries(Object.entries(files).map(([n, t]) => [n, strToU8(t)])));
  const whole = (name: string): Uint8Array => readFileSync(join(fixtures, name));
  const functional = (layer: object): string =>
    JSON.stringify({
      class_name: 'Functional',
      config: {
        name: 'm',
        layers: [{ class_name: 'InputLayer', name: 'i', config: { batch_shape: [null, 4] }, inbound_nodes: [] }, layer],
        input_layers: ['i', 0, 0],
        output_layers: ['l', 0, 0],
      },
    });
  const tensor = { class_name: '__keras_tensor__', config: { keras_history: ['i', 0, 0] } };
  /** Put together with the weights of another model, which are not reached. */
  const withConfig = (config: string): Uint8Array =>
    zipSync({ 'config.json': strToU8(config), 'model.weights.h5': whole('only.weights.h5') });

  const rows: ReadonlyArray<readonly [what: string, file: string, content: () => Uint8Array, sentence: (path: string) => string]> = [
    ['weights alone', 'a.h5', () => whole('only.weights.h5'), (p) => `${p} holds no model, at most the weights of one`],
    ['a cut HDF5 file', 'b.h5', () => whole('mixed.h5').subarray(0, 3000), (p) => `${p} cannot be read as an HDF5 file`],
    ['no HDF5 file', 'c.h5', () => strToU8('text'), (p) => `${p} cannot be read as an HDF5 file`],
    ['an archive without a model', 'd.keras', () => zip({ 'readme.txt': 'x' }), (p) => `${p} holds no config.json`],
    ['an archive without weights', 'e.keras', () => zip({ 'config.json': functional({}) }), (p) => `${p}: a layer has no class name`],
    ['a cut archive', 'f.keras', () => whole('mixed.keras').subarray(0, 9000), (p) => `${p} cannot be unpacked`],
    [
      'a class of one’s own',
      'g.keras',
      () => withConfig(functional({ class_name: 'Mine', name: 'l', config: {}, inbound_nodes: [{ args: [tensor], kwargs: {} }] })),
      (p) => `${p}: layer 'l' (Mine) is of a class that is not known`,
    ],
    [
      'code',
      'h.keras',
      () => withConfig(functional({ class_name: 'Lambda', name: 'l', config: {}, inbound_nodes: [{ args: [tensor], kwargs: {} }] })),
      (p) => `${p}: layer 'l' (Lambda) runs code of its own, which the file does not hold`,
    ],
    [
      'a number as an argument',
      'i.keras',
      () => withConfig(functional({ class_name: 'Multiply', name: 'l', config: {}, inbound_nodes: [{ args: [tensor, 2], kwargs: {} }] })),
      (p) => `${p}: layer 'l' is called with a value that is no tensor of the model, which its config does not explain`,
    ],
    [
      'a missing weight',
      'j.keras',
      () =>
        withConfig(functional({ class_name: 'Dense', name: 'l', config: { units: 3 }, inbound_nodes: [{ args: [tensor], kwargs: {} }] })),
      (p) => `${p}: layer 'l' (Dense) has a weight 'kernel' of dimensions [448, 5] where [4, 3] belong`,
    ],
    ['a text', 'k.txt', () => strToU8('hello'), (p) => `${p} is no model of a format that is read`],
    ['an empty file', 'l.bin', () => new Uint8Array(0), (p) => `${p} is no model of a format that is read`],
  ];
  it.each(rows)('%s', async (_what, file, content, sentence) => {
    const path = join(folder, file);
    writeFileSync(path, content());
    const error = await loadAnyModel(path).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(UserError);
    expect((error as UserError).message).toBe(sentence(path));
    expect((error as UserError).hint).toBeTruthy();
  });

  it('names what is missing, and what is a folder', async () => {
    await expect(loadAnyModel(join(folder, 'none.h5'))).rejects.toThrow(`${join(folder, 'none.h5')}: no such file`);
    await expect(loadAnyModel(folder)).rejects.toThrow(`${folder} is a folder, not a model file`);
  });
});
