import type * as FileSystem from 'node:fs';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { UserError } from '../errors';
import { encode } from './codec';
import { externalFiles, loadModel, modelBytes, parseModel, saveModel } from './file';
import { type Model, makeNode } from './model';
import { modelToProto } from './model-proto';
import { type AttributeProto, modelSpec, type TensorProto } from './schema';
import { Tensor } from './tensor';

/** Called with each write; what it throws, the disk throws. */
const disk = vi.hoisted(() => ({ onWrite: undefined as ((bytes: number) => void) | undefined }));
vi.mock('node:fs', async (original) => {
  const real = await original<typeof FileSystem>();
  const writeSync = (fd: number, chunk: Uint8Array, at: number, length: number): number => {
    disk.onWrite?.(length);
    return real.writeSync(fd, chunk, at, length);
  };
  return { ...real, writeSync, default: { ...real, writeSync } };
});

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'espalier-onnx-'));
});
afterEach(() => {
  disk.onWrite = undefined;
  rmSync(folder, { recursive: true, force: true });
});

function modelOf(...tensors: Tensor[]): Model {
  const sum = makeNode('Sum', ['x', ...tensors.map((t) => t.name)], ['y'], {}, { name: 'sum' });
  return {
    graph: {
      name: 'g',
      nodes: [sum],
      inputs: [{ name: 'x', type: 'float32', shape: [1] }],
      outputs: [{ name: 'y', type: 'float32' }],
      initializers: new Map(tensors.map((t) => [t.name, t])),
    },
    opsets: new Map([['', 17]]),
    irVersion: 8,
    metadata: new Map(),
    header: {},
  };
}
const small = (value = 1, name = 'w'): Tensor => Tensor.float32(name, [1], Float32Array.of(value));

/** Writes a model whose tensor `w` ([2], float32) keeps its data elsewhere. */
function withExternal(fields: Readonly<Record<string, string>>): string {
  const proto = modelToProto(modelOf(Tensor.float32('w', [2], new Float32Array(2))));
  const [w] = proto.graph!.initializer;
  const externalData = Object.entries(fields).map(([key, value]) => ({ key, value }));
  const elsewhere: TensorProto = { ...w, rawData: undefined, dataLocation: 1, externalData };
  const { chunks } = encode({ ...proto, graph: { ...proto.graph!, initializer: [elsewhere] } }, modelSpec);
  const path = join(folder, 'model.onnx');
  writeFileSync(path, Buffer.concat(chunks));
  return path;
}
const values = (path: string): number[] => loadModel(path).graph.initializers.get('w')!.numbers();
const dataFile = (...floats: number[]): Uint8Array => new Uint8Array(Float32Array.from(floats).buffer);

describe('files that are no models are named', () => {
  const file = (content: string | Uint8Array): string => {
    const path = join(folder, 'file.onnx');
    writeFileSync(path, content);
    return path;
  };
  it.each<[string, () => string, RegExp]>([
    ['nothing there', () => join(folder, 'absent.onnx'), /absent\.onnx: no such file$/],
    ['a folder', () => folder, /not a file$/],
    ['an empty file', () => file(''), /file\.onnx: the file is empty$/],
    [
      'a text',
      () => file('version https://git-lfs.github.com/spec/v1\n'),
      /file\.onnx: (not a valid ModelProto|this is not an ONNX model)/,
    ],
    ['no graph', () => file(Uint8Array.of(8, 7)), /file\.onnx: this is not an ONNX model: it holds no graph$/],
    ['a cut file', () => file(modelBytes(modelOf(small())).subarray(0, 40)), /file\.onnx: not a valid \w+: unreadable field at byte \d+$/],
  ])('%s', (_, path, sentence) => {
    const at = path();
    expect(() => loadModel(at)).toThrow(sentence);
    try {
      loadModel(at);
    } catch (e) {
      expect((e as UserError).hint).toBeTruthy();
    }
  });
});

describe('external data', () => {
  beforeEach(() => {
    mkdirSync(join(folder, 'sub'));
    writeFileSync(join(folder, 'w.bin'), dataFile(1, 2, 3, 4));
    writeFileSync(join(folder, 'sub', 'w.bin'), dataFile(5, 6));
  });

  it('is read with offset and length, with either alone, and from a folder below', () => {
    expect(values(withExternal({ location: 'w.bin', offset: '8', length: '8' }))).toEqual([3, 4]);
    expect(values(withExternal({ location: 'w.bin', length: '8' }))).toEqual([1, 2]);
    expect(values(withExternal({ location: 'w.bin', offset: '4' }))).toEqual([2, 3]);
    expect(values(withExternal({ location: 'sub/w.bin' }))).toEqual([5, 6]);
    expect(values(withExternal({ location: './sub/../w.bin'.replace('sub/../', '') }))).toEqual([1, 2]);
  });

  it('is written into the model when it is saved', () => {
    const model = loadModel(withExternal({ location: 'w.bin' }));
    expect(parseModel(modelBytes(model)).graph.initializers.get('w')!.numbers()).toEqual([1, 2]);
  });

  it.each([
    '../w.bin',
    'sub/../../w.bin',
    'sub\\..\\..\\w.bin',
    '..\\w.bin',
    '/etc/hostname',
    '\\\\server\\share\\w.bin',
    'C:\\w.bin',
    'c:w.bin',
    'C:/w.bin',
    '',
    '..',
    '.',
  ])('outside the folder is refused on every platform: %j', (location) => {
    expect(() => values(withExternal({ location }))).toThrow(
      /tensor 'w' keeps its data in '.*', outside the model's folder; this is refused$/,
    );
  });

  it.skipIf(process.platform === 'win32')('behind a link that leads out is refused, behind one that stays inside is read', () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'espalier-else-'));
    try {
      writeFileSync(join(elsewhere, 'secret.bin'), dataFile(7, 8));
      symlinkSync(join(elsewhere, 'secret.bin'), join(folder, 'link.bin'));
      symlinkSync(elsewhere, join(folder, 'linked'));
      symlinkSync(join(folder, 'w.bin'), join(folder, 'near.bin'));
      expect(() => values(withExternal({ location: 'link.bin' }))).toThrow(/outside the model's folder/);
      expect(() => values(withExternal({ location: 'linked/secret.bin' }))).toThrow(/outside the model's folder/);
      expect(values(withExternal({ location: 'near.bin' }))).toEqual([1, 2]);
    } finally {
      rmSync(elsewhere, { recursive: true });
    }
  });

  it.each<[Record<string, string>, RegExp]>([
    [{ location: 'absent.bin' }, /'w' keeps its data in 'absent\.bin', which is not beside the model$/],
    [{ location: 'w\u0000.bin' }, /which is not beside the model$/],
    [{ location: 'sub' }, /sub: not a file$/],
    [{ location: 'w.bin', length: '4' }, /'w' keeps 4 bytes in 'w\.bin' where 8 belong$/],
    [{ location: 'w.bin', offset: '12' }, /w\.bin ends before byte 20$/],
    [{ location: 'w.bin', offset: '-4' }, /'w': external data has the impossible offset '-4'$/],
    [{ location: 'w.bin', offset: '1e999' }, /impossible offset '1e999'$/],
    [{ location: 'w.bin', length: '99999999999999999999' }, /impossible length/],
  ])('that cannot be is named: %j', (fields, sentence) => {
    const path = withExternal(fields);
    expect(() => values(path)).toThrow(sentence);
    expect(() => values(path)).toThrow(UserError);
  });

  it('its files are named, each once and unread: of the graph, of attributes, of subgraphs', () => {
    const proto = modelToProto(modelOf(small()));
    const [w] = proto.graph!.initializer;
    // No tensor is of this length: reading it would fail.
    const at = (location: string): TensorProto => ({
      ...w,
      rawData: undefined,
      dataLocation: 1,
      externalData: Object.entries({ location, length: '99' }).map(([key, value]) => ({ key, value })),
    });
    const [first] = proto.graph!.node;
    const has = (attribute: Partial<AttributeProto>): typeof first => ({
      ...first,
      attribute: [{ name: 'a', strings: [], tensors: [], graphs: [], ...attribute }],
    });
    const inner = { ...proto.graph!, initializer: [at('d.bin'), w] };
    const graph = {
      ...proto.graph!,
      initializer: [at('w.bin'), w, { ...at('w.bin'), name: 'other' }],
      node: [
        has({ t: at('a.bin') }),
        has({ tensors: [at('b.bin')] }),
        has({ g: inner }),
        has({ graphs: [{ ...inner, node: [has({ g: inner })] }] }),
      ],
    };
    const path = join(folder, 'model.onnx');
    writeFileSync(path, Buffer.concat(encode({ ...proto, graph }, modelSpec).chunks));
    for (const name of ['a.bin', 'b.bin', 'd.bin']) writeFileSync(join(folder, name), '');
    expect(externalFiles(path)).toEqual(['w.bin', 'a.bin', 'b.bin', 'd.bin'].map((name) => join(folder, name)));
    writeFileSync(path, modelBytes(modelOf(small())));
    expect(externalFiles(path)).toEqual([]);
  });

  it('is refused for models in memory', () => {
    const bytes = new Uint8Array(readFileSync(withExternal({ location: 'w.bin' })));
    expect(() => parseModel(bytes)).toThrow(/the model was not read from a folder$/);
  });
});

describe('saving', () => {
  it('makes missing folders and leaves nothing else behind', () => {
    const path = join(folder, 'a', 'b', 'm.onnx');
    expect(saveModel(modelOf(small()), path)).toBe(readFileSync(path).byteLength);
    expect(readdirSync(join(folder, 'a', 'b'))).toEqual(['m.onnx']);
  });

  it('on a full disk leaves the old file and no other', () => {
    const path = join(folder, 'm.onnx');
    saveModel(modelOf(small(1)), path);
    const large = Tensor.float32('large', [50_000], new Float32Array(50_000));
    let written = 0;
    disk.onWrite = (bytes) => {
      written += bytes;
      if (written > 1000) throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
    };
    expect(() => saveModel(modelOf(small(2), large), path)).toThrow(/^cannot write .*m\.onnx: the disk is full$/);
    expect(readdirSync(folder)).toEqual(['m.onnx']);
    expect(loadModel(path).graph.initializers.get('w')!.numbers()).toEqual([1]);
  });

  it('where a file stands in the way of a folder is refused with a sentence', () => {
    writeFileSync(join(folder, 'taken'), '');
    expect(() => saveModel(modelOf(small()), join(folder, 'taken', 'm.onnx'))).toThrow(UserError);
  });
});

it('reads a Buffer as it reads other bytes, wherever its values begin', () => {
  for (const name of ['w', 'ww', 'www', 'wwww']) {
    const bytes = Buffer.from(modelBytes(modelOf(Tensor.float32(name, [3], Float32Array.of(1, 2, 3)))));
    expect(parseModel(bytes).graph.initializers.get(name)!.floats()).toEqual(Float32Array.of(1, 2, 3));
  }
});

it('writes and reads 150 MB with at most one copy of the data beyond the file itself', () => {
  const path = join(folder, 'large.onnx');
  const size = 150e6;
  const buffers = (): number => process.memoryUsage().arrayBuffers;
  const big = Tensor.float32('big', [size / 4], new Float32Array(size / 4).fill(3));
  const model = modelOf(small(), big);
  const before = buffers();
  let most = 0;
  disk.onWrite = () => {
    most = Math.max(most, buffers() - before);
  };
  expect(saveModel(model, path)).toBeGreaterThan(size);
  // Large fields are written from where they lie.
  expect(most).toBeLessThan(5e6);
  const [rss, held] = [process.memoryUsage().rss, buffers()];
  const read = loadModel(path);
  const tensor = read.graph.initializers.get('big')!;
  expect(tensor.floats()[size / 4 - 1]).toBe(3);
  // The file's bytes, and the values copied out of them where they lie unaligned.
  expect(buffers() - held).toBeLessThan(2 * size + 1e6);
  expect(process.memoryUsage().rss - rss).toBeLessThan(2 * size + 50e6);
  // A view of the file's bytes, not a copy.
  expect(tensor.bytes.buffer.byteLength).toBeGreaterThan(size);
});
