import { expect, test } from 'vitest';
import { lenet5 } from '../architectures/lenet5';
import { quantizableLayers } from '../graph/layers';
import { quantizeLayer, withDequantizedWeights } from '../quantization/quantized-layer';
import { Random } from '../random';
import { tunedAtBits } from './bit-tuning';

const random = new Random(3);
const model = lenet5.build({ classes: 10, random });
const layers = quantizableLayers(model).map((layer) => quantizeLayer(model, layer, 4));
const batches = Array.from({ length: 6 }, () => ({
  inputs: Float32Array.from({ length: 8 * 28 * 28 }, () => random.normal()),
  labels: Int32Array.from({ length: 8 }, (_, i) => i),
}));
const weightOf = (of: typeof model): Float32Array => of.graph.initializers.get('conv1.weight')!.floats();

test('tuned weights lie on the same scales as those that are only quantised, at other levels', async () => {
  const tuned = (await tunedAtBits(model, layers, { batches, learningRate: 0.05 }))!;
  const plain = withDequantizedWeights(model, layers);
  expect(weightOf(tuned)).not.toEqual(weightOf(plain));
  // Six filters, at most 2⁴ − 1 levels each.
  for (let f = 0; f < 6; f++) expect(new Set(weightOf(tuned).subarray(25 * f, 25 * (f + 1))).size).toBeLessThanOrEqual(15);
});

test('a tuning that diverges is none', async () => {
  const broken = { ...batches[0], inputs: batches[0].inputs.map(() => Number.NaN) };
  expect(await tunedAtBits(model, layers, { batches: [batches[0], broken], learningRate: 0.05 })).toBeUndefined();
});
