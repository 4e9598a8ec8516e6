import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { UserError } from '../errors';
import { modelFromModule } from './tfjs-module';

const packages = resolve(__dirname, '../../../node_modules');
let root: string;
beforeAll(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), 'espalier-module-')));
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A project folder with TensorFlow.js and, where named, a compiler. */
function project(name: string, files: Readonly<Record<string, string>>, compiler?: 'esbuild' | 'typescript'): string {
  const folder = join(root, name);
  mkdirSync(join(folder, 'node_modules'), { recursive: true });
  const link = (from: string, to: string): void => symlinkSync(join(packages, from), join(folder, 'node_modules', to), 'junction');
  link('@tensorflow', '@tensorflow');
  if (compiler === 'esbuild') link('esbuild', 'esbuild');
  if (compiler === 'typescript') {
    // The calls of the typescript package that are used, answered by esbuild.
    const place = join(folder, 'node_modules', 'typescript');
    mkdirSync(place);
    writeFileSync(
      join(place, 'index.js'),
      `const { transformSync } = require(${JSON.stringify(join(packages, 'esbuild'))});
       module.exports = { ModuleKind: { CommonJS: 1 }, ScriptTarget: { ES2022: 9 }, transpileModule: (text) => ({ outputText: transformSync(text, { loader: 'ts', format: 'cjs' }).code }) };`,
    );
  }
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text);
  return folder;
}

const javaScript = `
  require('@tensorflow/tfjs-backend-cpu');
  const tf = require('@tensorflow/tfjs-layers');
  const build = (units = 2) => tf.sequential({ layers: [tf.layers.dense({ name: 'head', units, inputShape: [3] })] });
  exports.model = build();
  exports.build = build;
  exports.later = async (units, { twice }) => build(twice ? 2 * units : units);
  exports.Holder = class { constructor(units) { this.model = build(units); } };
  exports.unbuilt = () => { const m = tf.sequential(); m.add(tf.layers.dense({ units: 1, inputShape: [1] })); m.save = async () => { throw new Error('not built'); }; return m; };
  exports.frames = () => tf.sequential({ layers: [tf.layers.convLstm2d({ name: 'memory', filters: 1, kernelSize: 1, inputShape: [2, 3, 3, 1], recurrentInitializer: 'zeros' })] });
  exports.number = 5;
  exports.fails = () => { throw new Error('no depth given'); };
`;

describe('models that JavaScript builds', () => {
  let file: string;
  beforeAll(() => {
    file = join(project('javascript', { 'net.cjs': javaScript, 'browser.cjs': 'document.title = "";' }), 'net.cjs');
  });

  it.each([
    ['model', '', 2],
    ['build', '', 2],
    ['build', '5', 5],
    ['later', '3, { twice: true } // six', 6],
    ['Holder', '4', 4],
  ])('%s(%s)', async (name, given, units) => {
    const { graph } = await modelFromModule(file, name, given);
    expect(graph.nodes.map((n) => n.name)).toEqual(['head']);
    expect(graph.initializers.get('head/kernel')?.dims).toEqual([units, 3]);
  });

  const rows: ReadonlyArray<readonly [name: string, given: string, sentence: (file: string) => string]> = [
    ['other', '', (f) => `${f} exports no 'other'`],
    ['number', '', (f) => `'number' of ${f} is no tf.LayersModel`],
    ['fails', '', (f) => `fails() of ${f} failed: no depth given`],
    ['build', '1 +', () => "the arguments '1 +' of build are no JavaScript: Unexpected token ']'"],
    ['unbuilt', '', (f) => `the model 'unbuilt' of ${f} cannot be saved: not built`],
    [
      'frames',
      '',
      (f) => `the model 'frames' of ${f}: layer 'memory' (ConvLSTM2D) is recurrent in a way that is not read from this format yet`,
    ],
  ];
  it.each(rows)('refuses %s(%s)', async (name, given, sentence) => {
    const error = await modelFromModule(file, name, given).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(UserError);
    expect((error as UserError).message).toBe(sentence(file));
    expect((error as UserError).hint).toBeTruthy();
  });

  it('says what a module lacks in Node', async () => {
    const browser = join(file, '..', 'browser.cjs');
    await expect(modelFromModule(browser, 'x')).rejects.toThrow(`${browser} cannot be loaded: document is not defined`);
    await expect(modelFromModule(`${file}.none`, 'x')).rejects.toThrow(`${file}.none: no such file`);
  });
});

describe('models that TypeScript builds', () => {
  const files = {
    'net.ts': `import '@tensorflow/tfjs-backend-cpu';
      import * as tf from '@tensorflow/tfjs-layers';
      import { Width } from './width';
      export function build(units: number = Width.Small): tf.LayersModel {
        return tf.sequential({ layers: [tf.layers.dense({ name: 'head', units, inputShape: [3] })] });
      }`,
    // An enum, and an import without its extension: more than stripping types.
    'width.ts': 'export enum Width { Small = 7 }',
  };

  it.each(['esbuild', 'typescript'] as const)('by the %s of its own folder', async (compiler) => {
    const folder = project(compiler, files, compiler);
    const { graph } = await modelFromModule(join(folder, 'net.ts'), 'build', '', { nodeStripsTypes: false });
    expect(graph.initializers.get('head/kernel')?.dims).toEqual([7, 3]);
  });

  it('says what is missing', async () => {
    const file = join(project('bare', files), 'net.ts');
    await expect(modelFromModule(file, 'build', '', { nodeStripsTypes: false })).rejects.toThrow(
      `${file} is TypeScript, which Node ${process.versions.node} does not run by itself, and its folder has neither esbuild nor typescript`,
    );
  });
});
