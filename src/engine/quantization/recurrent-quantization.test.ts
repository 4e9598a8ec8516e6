import { describe, expect, it } from 'vitest';
import { topologies } from '../../../test/topologies';
import { quantizableLayers } from '../graph/layers';
import type { Model } from '../onnx/model';
import { elementCount } from '../onnx/tensor';
import { Random } from '../random';
import { predict, scoringSignature } from '../runtime/evaluate';
import { Trainer } from '../training/trainer';
import { quantizersOf, withDequantizedWeights } from './quantized-layer';
import { channelLayout } from './quantizers';
import { quantizeLayers, quantizeModel } from './write-quantized';

const NAMES = ['LSTM', 'GRU', 'bidirectional', 'stacked'];
const shape = [5, 6];
const random = new Random(3);
const calibration = { inputs: Float32Array.from({ length: 40 * elementCount(shape) }, () => random.normal()), shape, count: 40 };

const scores = async (m: Model): Promise<Float32Array> => (await predict(m, scoringSignature(m), calibration, { threads: 1 })).scores;
const distance = (a: Float32Array, b: Float32Array): number => Math.hypot(...a.map((v, i) => v - b[i])) / Math.hypot(...a);

describe.each(NAMES)('%s', (name) => {
  const { model } = topologies().find((t) => t.name === name)!;
  const bitsAt = (bits: number): Record<string, number> => Object.fromEntries(quantizableLayers(model).map((l) => [l.name, bits]));

  it.each(['float', 'u8'] as const)('written with %s activations, answers as the dequantised weights do', async (activations) => {
    // With 8-bit activations recurrent layers alone are quantised: what they read and make stays float.
    const recurrent = quantizeLayers(model, bitsAt(4)).filter(({ layer }) => layer.kind === 'recurrent');
    expect(recurrent.length).toBeGreaterThan(1);
    const expected = await scores(withDequantizedWeights(model, recurrent));
    const written = await quantizeModel(model, recurrent, { activations, calibration });
    for (const { layer } of recurrent) expect(written.graph.initializers.get(`${layer.weight}.codes`)?.type).toBe('int8');
    expect(distance(await scores(written), expected)).toBeLessThan(1e-6);
    expect(distance(expected, await scores(model))).toBeGreaterThan(1e-3);
  });

  it('takes 8-bit activations around its other layers', async () => {
    const written = await quantizeModel(model, quantizeLayers(model, bitsAt(8)), { activations: 'u8', calibration });
    expect(written.graph.nodes.some((n) => n.opType === 'QuantizeLinear')).toBe(true);
    expect(distance(await scores(written), await scores(model))).toBeLessThan(0.04);
  });

  it('loses less the more bits there are', async () => {
    const whole = await scores(model);
    const lossAt = async (bits: number): Promise<number> =>
      distance(whole, await scores(withDequantizedWeights(model, quantizeLayers(model, bitsAt(bits)))));
    const [two, four, eight] = [await lossAt(2), await lossAt(4), await lossAt(8)];
    expect(four).toBeLessThan(two);
    expect(eight).toBeLessThan(four / 4);
    expect(eight).toBeLessThan(0.03);
  });

  it('is trained on its codes: one scale a gate row, and weights that end on them', async () => {
    const layers = quantizeLayers(model, bitsAt(3));
    const trainer = await Trainer.create(model, { batch: 8, threads: 1, quantizers: quantizersOf(layers) });
    const inputs = calibration.inputs.slice(0, 8 * elementCount(shape));
    const labels = Int32Array.from({ length: 8 }, (_, i) => i % 5);
    const first = await trainer.step({ inputs, labels }, 0.01);
    let last = first;
    for (let i = 0; i < 4; i++) last = await trainer.step({ inputs, labels }, 0.01);
    await trainer.dispose();
    expect(last.loss).toBeLessThan(first.loss);
    const { layer, weights } = layers[0];
    const { dims } = model.graph.initializers.get(layer.weight)!;
    expect(weights.scales).toHaveLength(dims[1]);
    channelLayout(dims, layer.outAxis).forEach(0, (i) => {
      expect(Math.abs(weights.codes[i])).toBeLessThanOrEqual(3);
    });
  });
});
