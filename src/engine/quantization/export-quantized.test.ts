import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { topologies } from '../../../test/topologies';
import { lenet5 } from '../architectures/lenet5';
import { quantizableLayers } from '../graph/layers';
import { loadModel } from '../onnx/file';
import { type Model, withGraph } from '../onnx/model';
import { Random } from '../random';
import { predict, scoringSignature } from '../runtime/evaluate';
import { affineParameters, clippedRange } from './activation-ranges';
import { quantizeLayer, withDequantizedWeights } from './quantized-layer';
import { quantizeLayers, quantizeModel, writeModelFile } from './write-quantized';

const random = new Random(3);
const model = lenet5.build({ classes: 10, random });
const calibration = { inputs: Float32Array.from({ length: 50 * 784 }, () => random.uniform()), shape: [1, 28, 28], count: 50 };

async function scores(m: Model): Promise<Float32Array> {
  return (await predict(m, scoringSignature(m), calibration, { threads: 1 })).scores;
}
const distance = (a: Float32Array, b: Float32Array): number =>
  Math.sqrt(a.reduce((s, v, i) => s + (v - b[i]) ** 2, 0) / a.reduce((s, v) => s + v * v, 0));

describe('quantised export', () => {
  const bits = Object.fromEntries(quantizableLayers(model).map((l, i) => [l.name, [8, 4, 3, 2, 1][i]]));

  it.each([17, 12])('with float activations answers as the dequantised weights do, operator set %i', async (opset) => {
    const old = { ...model, opsets: new Map([['', opset]]) };
    const layers = quantizableLayers(old).map((l) => quantizeLayer(old, l, bits[l.name]));
    const expected = await scores(withDequantizedWeights(old, layers));
    const written = await quantizeModel(old, quantizeLayers(old, bits), { activations: 'float', calibration });
    expect(distance(await scores(written), expected)).toBeLessThan(1e-6);
  });

  it('with 8-bit activations stays close to float at 8 bits everywhere, and keeps a read-back file equal', async () => {
    const all8 = Object.fromEntries(Object.keys(bits).map((name) => [name, 8]));
    const quantised = await quantizeModel(model, quantizeLayers(model, all8), { activations: 'u8', calibration });
    expect(quantised.graph.nodes.filter((n) => n.opType === 'QuantizeLinear').length).toBeGreaterThan(5);
    const out = await scores(quantised);
    expect(distance(out, await scores(model))).toBeLessThan(0.03);
    const folder = mkdtempSync(join(tmpdir(), 'quantised-'));
    const path = join(folder, 'model.onnx');
    const sizes = writeModelFile(quantised, path);
    expect([...(await scores(loadModel(path)))]).toEqual([...out]);
    rmSync(folder, { recursive: true });
    // 61,470 weights of one byte each, plus biases as int32, scales and the graph.
    expect(sizes.fileBytes).toBeGreaterThan(61_470);
    expect(sizes.fileBytes).toBeLessThan(61_470 + 12_000);
    expect(sizes.brotliBytes).toBeLessThan(sizes.fileBytes);
  });

  it('makes files whose compressed size follows the bits', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'bits-'));
    const sizeAt = async (b: number): Promise<number> => {
      const every = Object.fromEntries(Object.keys(bits).map((name) => [name, b]));
      return writeModelFile(
        await quantizeModel(model, quantizeLayers(model, every), { activations: 'float', calibration }),
        join(folder, `${b}.onnx`),
      ).brotliBytes;
    };
    const [two, four, eight] = [await sizeAt(2), await sizeAt(4), await sizeAt(8)];
    expect(two).toBeLessThan(0.62 * four);
    expect(four).toBeLessThan(0.62 * eight);
    rmSync(folder, { recursive: true });
  });

  it('leaves layers that are not listed, and an unquantised model, alone', async () => {
    expect(await quantizeModel(model, quantizeLayers(model, {}), { activations: 'u8', calibration })).toBe(model);
    const one = await quantizeModel(model, quantizeLayers(model, { fc1: 4 }), { activations: 'float', calibration });
    expect(one.graph.initializers.get('conv1.weight')).toBe(model.graph.initializers.get('conv1.weight'));
    expect(one.graph.initializers.has('fc1.weight')).toBe(false);
  });
});

describe('activation ranges', () => {
  it('clip an outlier that costs all other values their precision', () => {
    const sample = Array.from({ length: 5000 }, () => random.normal());
    const { max } = clippedRange(-40, 40, [...sample, 40]);
    expect(max).toBeLessThan(40);
    expect(
      clippedRange(
        0,
        1,
        sample.map(Math.abs).filter((v) => v < 1),
      ).max,
    ).toBeGreaterThan(0.9);
  });

  it('represent zero exactly', () => {
    const { scale, zeroPoint } = affineParameters({ min: -0.3, max: 1.7 });
    expect(Number.isInteger(zeroPoint)).toBe(true);
    expect(Math.round(0 / scale) + zeroPoint).toBe(zeroPoint);
  });
});

// Keeps the import of withGraph honest: a model without the bias exports too.
describe('layers without a bias', () => {
  it('export with 8-bit activations', async () => {
    const nodes = model.graph.nodes.map((n) => (n.opType === 'Conv' ? { ...n, inputs: n.inputs.slice(0, 2) } : n));
    const bare = withGraph(model, { nodes });
    const out = await scores(await quantizeModel(bare, quantizeLayers(bare, { conv1: 8, conv2: 8 }), { activations: 'u8', calibration }));
    expect(distance(out, await scores(bare))).toBeLessThan(0.03);
  });
});

describe('layers that share a weight', () => {
  const shared = topologies().find((t) => t.name === 'shared weights')!;
  const samples = { inputs: Float32Array.from({ length: 6 * 192 }, () => random.normal()), shape: shared.input.slice(1), count: 6 };
  const answers = async (m: Model): Promise<Float32Array> => (await predict(m, scoringSignature(m), samples, { threads: 1 })).scores;

  it.each(['float', 'u8'] as const)(
    'export it once, with the codes that candidates are scored with: %s activations',
    async (activations) => {
      const bits = { stem: 8, first: 3, second: 8, fc: 8 };
      const layers = quantizeLayers(shared.model, bits);
      expect(layers.map(({ layer }) => layer.name)).toEqual(['stem', 'second', 'fc']);
      const scored = quantizableLayers(shared.model).map((l) => quantizeLayer(shared.model, l, bits[l.name as keyof typeof bits]));
      const written = await quantizeModel(shared.model, layers, { activations, calibration: samples });
      const expected = await answers(withDequantizedWeights(shared.model, scored));
      expect(distance(await answers(written), expected)).toBeLessThan(activations === 'float' ? 1e-6 : 0.05);
    },
  );
});
