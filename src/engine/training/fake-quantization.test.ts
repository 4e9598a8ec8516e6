import { expect, test } from 'vitest';
import { withGraph } from '../onnx/model';
import { Session } from '../runtime/onnxruntime';
import { quantizeActivations } from './fake-quantization';
import { fill, twoLayers } from './testing/networks';
import { Trainer } from './trainer';

const batch = { inputs: fill(20, 1, 1), labels: Int32Array.of(0, 1, 2, 1) };

/** Values of the hidden layer after its ReLU, [4, 6]. */
async function hidden(): Promise<Float32Array> {
  const session = await Session.create(withGraph(twoLayers(5, 6, 3), { outputs: [{ name: 'relu', type: 'float32' }] }), { threads: 1 });
  const { relu } = await session.run({ input: { type: 'float32', shape: [4, 5], data: batch.inputs } });
  await session.release();
  return relu.data as Float32Array;
}

async function oneStep(quantizer?: { scale: number; zeroPoint: number }) {
  const seen: Record<string, Float32Array> = {};
  const transforms = quantizeActivations(new Map(quantizer ? [['relu', quantizer]] : []));
  const quantize = transforms.get('relu');
  const trainer = await Trainer.create(twoLayers(5, 6, 3), {
    batch: 4,
    threads: 1,
    momentum: 0,
    transforms: new Map([
      [
        'relu',
        (context, value) => {
          const z = quantize ? quantize(context, value) : value;
          context.observe('z', z);
          return z;
        },
      ],
    ]),
  });
  await trainer.step(batch, 0);
  seen.z = trainer.observed('z').slice();
  const gradients = trainer.state().velocities;
  await trainer.dispose();
  return { z: seen.z, gradients };
}

test('activations are rounded to their codes and cut off at the ends', async () => {
  const f = await hidden();
  const { z } = await oneStep({ scale: 0.005, zeroPoint: 20 });
  const top = 235 * 0.005;
  expect(f.some((v) => v > top)).toBe(true);
  f.forEach((v, i) => {
    expect(z[i]).toBeCloseTo(v > top ? top : Math.round(v / 0.005) * 0.005, 2);
    expect(Math.abs(z[i] / 0.005 - Math.round(z[i] / 0.005))).toBeLessThan(1e-3);
  });
});

test('the gradient passes inside the range only', async () => {
  const f = await hidden();
  const plain = await oneStep();
  // Fine steps over a range that holds everything: the gradient is that of the float network.
  const fine = await oneStep({ scale: (1.01 * Math.max(...f)) / 255, zeroPoint: 0 });
  plain.gradients['first.weight'].forEach((g, i) => {
    expect(fine.gradients['first.weight'][i]).toBeCloseTo(g, 2);
  });
  expect(Math.hypot(...plain.gradients['first.weight'])).toBeGreaterThan(0.1);
  // A range below every active unit: nothing passes to the first layer, the last one still learns.
  const smallest = Math.min(...f.filter((v) => v > 0));
  const cut = await oneStep({ scale: (0.5 * smallest) / 255, zeroPoint: 0 });
  expect(Math.hypot(...cut.gradients['first.weight'])).toBe(0);
  expect(Math.hypot(...cut.gradients['last.weight'])).toBeGreaterThan(0);
});

test('scales and zero points out of range are refused', () => {
  expect(() => quantizeActivations(new Map([['x', { scale: 0, zeroPoint: 0 }]]))).toThrow(/'x' must be above 0/);
  expect(() => quantizeActivations(new Map([['x', { scale: 1, zeroPoint: 256 }]]))).toThrow(/0 to 255, not 256/);
});
