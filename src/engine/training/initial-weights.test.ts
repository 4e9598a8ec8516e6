import { expect, test } from 'vitest';
import { Random } from '../random';
import { withInitialWeights } from './initial-weights';
import { lenet, residual } from './testing/networks';

test('every weight is drawn anew within ±1/√fanIn of its layer', () => {
  const model = lenet();
  const drawn = withInitialWeights(model, new Random(3));
  // Numbers that each output sums: 1·5·5, 6·5·5, and what the linear layers read.
  const fanIn = { conv1: 25, conv2: 150, fc1: 400, fc2: 120, fc3: 84 };
  for (const [layer, reads] of Object.entries(fanIn)) {
    for (const name of [`${layer}.weight`, `${layer}.bias`]) {
      const values = drawn.graph.initializers.get(name)!.floats();
      const largest = values.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
      expect(largest, name).toBeLessThanOrEqual(1 / Math.sqrt(reads));
      expect([...values], name).not.toEqual([...model.graph.initializers.get(name)!.floats()]);
    }
    // Uniform on ±b: the mean square is b²/3, and of n draws its relative error has a standard deviation of √(4/5n).
    const weights = drawn.graph.initializers.get(`${layer}.weight`)!.floats();
    const square = weights.reduce((sum, v) => sum + v * v, 0) / weights.length;
    expect(Math.abs(3 * reads * square - 1), layer).toBeLessThan(4 * Math.sqrt(0.8 / weights.length));
  }
});

test('batch normalisation forgets its statistics; the same seed draws the same', () => {
  const [a, b] = [1, 1].map((seed) => withInitialWeights(residual(), new Random(seed)));
  const batchNorm = a.graph.nodes.find((n) => n.opType === 'BatchNormalization')!;
  const [scale, bias, mean, variance] = batchNorm.inputs.slice(1).map((name) => [...new Set(a.graph.initializers.get(name)!.floats())]);
  expect({ scale, bias, mean, variance }).toEqual({ scale: [1], bias: [0], mean: [0], variance: [1] });
  for (const [name, tensor] of a.graph.initializers) expect(tensor.floats(), name).toEqual(b.graph.initializers.get(name)!.floats());
});
