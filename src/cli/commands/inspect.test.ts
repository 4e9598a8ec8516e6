/** What `espalier inspect` says of files as odd exporters write them: what was changed, what stays, and why. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { lenet5 } from '../../engine/architectures/lenet5';
import { UserError } from '../../engine/errors';
import { quantizableLayers } from '../../engine/graph/layers';
import { normals } from '../../engine/graph/passes/testing/same-outputs';
import { quantizedForm } from '../../engine/graph/quantized-form';
import { loadModel, saveModel } from '../../engine/onnx/file';
import { type Model, makeNode, type Node, withGraph } from '../../engine/onnx/model';
import type { Tensor } from '../../engine/onnx/tensor';
import { quantizeLayers, quantizeModel } from '../../engine/quantization/write-quantized';
import { Random } from '../../engine/random';
import { prepare } from '../../engine/search/prepare';
import { startRun } from '../../engine/search/run';
import { configSchema } from '../../protocol/config';
import { inspect } from './inspect';

const root = mkdtempSync(join(tmpdir(), 'espalier-inspect-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));
const random = new Random(6);
const normal = normals(6);

/** What the command prints. */
async function said(model: Model, name: string, json = false): Promise<string> {
  const path = join(root, `${name}.onnx`);
  saveModel(model, path);
  let text = '';
  const write = vi.spyOn(process.stdout, 'write').mockImplementation((chunk) => {
    text += String(chunk);
    return true;
  });
  try {
    await inspect(path, { json });
  } finally {
    write.mockRestore();
  }
  return text;
}

/** A file of IR version 3, whose weights are inputs too, with one sample fixed. */
const old = (
  nodes: readonly Node[],
  tensors: readonly Tensor[],
  input: readonly number[],
  output: readonly number[],
  opset = 12,
): Model => ({
  graph: {
    name: 'odd',
    nodes,
    inputs: [{ name: 'x', type: 'float32', shape: input }],
    outputs: [{ name: 'y', type: 'float32', shape: output }],
    initializers: new Map(tensors.map((t) => [t.name, t])),
  },
  opsets: new Map([
    ['', opset],
    ['example', 1],
  ]),
  irVersion: 3,
  metadata: new Map(),
  header: {},
});

const conv = (from: string, to: string, weight: string): Node =>
  makeNode('Conv', [from, weight], [to], { kernel_shape: [3, 3], pads: [1, 1, 1, 1] }, { name: to });

describe('passes are reported', () => {
  it('as TensorFlow’s graphs come: channels last, a bias added behind, shapes computed, one sample fixed', async () => {
    const model = old(
      [
        makeNode('Transpose', ['x'], ['first'], { perm: [0, 3, 1, 2] }),
        conv('first', 'c1', 'w1'),
        makeNode('Transpose', ['c1'], ['last'], { perm: [0, 2, 3, 1] }),
        makeNode('Constant', [], ['bias'], { value: normal('', 6) }),
        makeNode('Add', ['last', 'bias'], ['added']),
        makeNode('Relu', ['added'], ['r1']),
        makeNode('Identity', ['r1'], ['same']),
        makeNode('Sigmoid', ['r1'], ['nobody']),
        makeNode('Transpose', ['same'], ['again'], { perm: [0, 3, 1, 2] }),
        conv('again', 'c2', 'w2'),
        makeNode('GlobalAveragePool', ['c2'], ['pooled']),
        makeNode('Flatten', ['pooled'], ['y']),
      ],
      [normal('w1', 6, 3, 3, 3), normal('w2', 5, 6, 3, 3)],
      [1, 8, 8, 3],
      [1, 5],
    );
    const text = await said(
      {
        ...model,
        metadata: new Map([
          ['mean', '0.5'],
          ['std', '0.25'],
        ]),
      },
      'tensorflow',
    );
    const report = text.slice(text.indexOf('Put into Espalier’s form:'));
    expect(report.trim().split('\n')).toEqual([
      'Put into Espalier’s form:',
      '  constants, and what follows from shapes alone, became initializers',
      '  nodes that pass their input on were taken out',
      '  what no output depends on was taken out',
      '  the batch, which the file fixes, was left open',
      '  transposes around channels-last parts were moved until they cancelled',
      '  constants added behind layers became their biases',
    ]);
    expect(text).toContain('pre-processing stated in the file: scale 0.003922, mean 0.5, std 0.25 (from mean, std)');
    expect(text).toMatch(/c1 \(6 channels\): /);
  });

  it('what is not known is carried through, and what it holds stays, with the reason; so does the batch', async () => {
    const model = old(
      [conv('x', 'c1', 'w1'), makeNode('Fourier', ['c1'], ['f'], {}, { domain: 'example', name: 'odd' }), conv('f', 'y', 'w2')],
      [normal('w1', 6, 3, 3, 3), normal('w2', 5, 6, 3, 3)],
      [1, 3, 8, 8],
      [1, 5, 8, 8],
    );
    const text = await said(
      withGraph(model, { valueInfo: new Map([['f', { name: 'f', type: 'float32', shape: [1, 6, 8, 8] }]]) }),
      'unknown',
    );
    expect(text).toMatch(/Not pruned:\n {2}c1 \(6 channels\): .*Fourier.*\n/);
    expect(text).toContain(
      "Carried through untouched:\n  operator example.Fourier (node 'odd') is not known; it is carried through untouched",
    );
    expect(text).toContain("Notes:\n  the batch stays fixed: Fourier 'odd' is not a standard operator");
  });

  it('an old file of linear layers, as JSON', async () => {
    const model = old(
      [makeNode('MatMul', ['x', 'w'], ['m']), makeNode('Add', ['m', 'b'], ['a']), makeNode('Relu', ['a'], ['y'])],
      [normal('w', 4, 6), normal('b', 6)],
      [1, 4],
      [1, 6],
      7,
    );
    expect(JSON.parse(await said(model, 'linear', true))).toMatchObject({
      opset: 7,
      inputs: [{ name: 'x' }],
      changes: ['the batch, which the file fixes, was left open', 'constants added behind layers became their biases'],
      notes: [],
    });
  });
});

describe('a model that is quantised already', () => {
  const model = lenet5.build({ classes: 10, random });
  const bits = Object.fromEntries(quantizableLayers(model).map((l) => [l.name, 8]));
  const calibration = { inputs: Float32Array.from({ length: 20 * 784 }, () => random.uniform()), shape: [1, 28, 28], count: 20 };
  let quantized: Model;
  let config: object;
  beforeAll(async () => {
    quantized = await quantizeModel(model, quantizeLayers(model, bits), { activations: 'u8', calibration });
    saveModel(quantized, join(root, 'codes.onnx'));
    config = {
      model: 'codes.onnx',
      data: { name: 'digits', digits: { train: 200, test: 100 } },
      method: 'uniform',
      goal: { flops: 0.7 },
      stages: { prune: true, quantize: false },
      pruning: { calibrationImages: 20, final: { calibrationImages: 20 } },
      search: { episodes: 1, actors: 1 },
      recovery: { epochs: 0 },
      output: { folder: 'runs' },
      threads: 1,
    };
  });

  it('is said', async () => {
    expect(await said(quantized, 'said')).toMatch(
      /Notes:\n {2}the model is quantised already \(\d+ DequantizeLinear, \d+ QuantizeLinear\); compressing it needs it as floats: "dequantize": true/,
    );
  });

  it('is refused with that reason, and compressed as floats on request', async () => {
    const refusal = await prepare(configSchema.parse(config), { folder: root, threads: 1 }).catch((e: unknown) => e);
    expect(refusal).toBeInstanceOf(UserError);
    const { message, hint } = refusal as UserError;
    expect(message).toMatch(/codes\.onnx: the model is quantised already \(\d+ DequantizeLinear, \d+ QuantizeLinear\)$/);
    expect(hint).toContain('"dequantize": true (--dequantize)');
    const { result } = await startRun(configSchema.parse({ ...config, dequantize: true }), { folder: root });
    expect(result.after.cost.macs).toBeLessThanOrEqual(0.7 * result.before.cost.macs);
    expect(quantizedForm(loadModel(result.after.path))).toBeUndefined();
  });
});
