import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Model } from '../onnx/model';
import { elementCount } from '../onnx/tensor';
import { fill, lenet, residual } from './testing/networks';
import { Trainer, type TrainerOptions } from './trainer';

type Values = Record<string, number[]>;
interface Run {
  losses: number[];
  weights: Values;
  velocities: Values;
  statistics: Values;
}
const fixture = JSON.parse(readFileSync(new URL('../../../test/fixtures/pytorch-steps/steps.json', import.meta.url), 'utf8')) as {
  samples: number;
  cases: Record<string, { float32: Run; float64: Run }>;
};

const BATCH = 8;
const STEPS = 3;
const CLASSES = 10;

const sample = (values: Float32Array): number[] => {
  const n = Math.min(fixture.samples, values.length);
  return Array.from({ length: n }, (_, i) => values[Math.floor((i * values.length) / n)]);
};
const sampled = (values: Readonly<Record<string, Float32Array>>): Values =>
  Object.fromEntries(Object.entries(values).map(([name, v]) => [name, sample(v)]));

/** Root mean square difference over all stored entries, each tensor relative to its size in float64. */
function distance(a: Values, b: Values): number {
  let sum = 0;
  let count = 0;
  expect(Object.keys(a).sort()).toEqual(Object.keys(b).sort());
  for (const [name, truth] of Object.entries(b)) {
    const size = Math.hypot(...truth) / Math.sqrt(truth.length);
    truth.forEach((t, i) => {
      sum += ((a[name][i] - t) / (size || 1)) ** 2;
      count++;
    });
  }
  return Math.sqrt(sum / count);
}

async function threeSteps(model: Model, shape: readonly number[], learningRate: number, options: Partial<TrainerOptions>): Promise<Run> {
  const trainer = await Trainer.create(model, { batch: BATCH, threads: 1, ...options });
  try {
    const losses: number[] = [];
    for (let step = 0; step < STEPS; step++) {
      const { loss } = await trainer.step(
        {
          inputs: fill(BATCH * elementCount(shape), 7 + step, 2),
          labels: Int32Array.from({ length: BATCH }, (_, i) => (3 * i + step) % CLASSES),
          teacherLogits: fill(BATCH * CLASSES, 77 + step, 3),
        },
        learningRate,
      );
      losses.push(loss);
    }
    const { weights, velocities, statistics } = trainer.state();
    return { losses, weights: sampled(weights), velocities: sampled(velocities), statistics: sampled(statistics) };
  } finally {
    await trainer.dispose();
  }
}

/** PyTorch's float64 result is the truth; its own float32 result says how far rounding leads. */
function expectAsCloseAsPytorch(name: string, ours: Run): void {
  const { float32, float64 } = fixture.cases[name];
  for (const part of ['weights', 'velocities', 'statistics'] as const) {
    if (Object.keys(float64[part]).length === 0) continue;
    const theirs = distance(float32[part], float64[part]);
    const own = distance(ours[part], float64[part]);
    expect(theirs).toBeGreaterThan(0);
    expect(own, `${part}: ours ${own}, PyTorch's float32 ${theirs}`).toBeLessThan(2 * theirs);
  }
  ours.losses.forEach((loss, i) => {
    expect(Math.abs(loss - float64.losses[i])).toBeLessThan(1e-5 * float64.losses[i]);
  });
}

test('LeNet-5: three steps with weight decay', async () => {
  expectAsCloseAsPytorch('lenet', await threeSteps(lenet(), [1, 28, 28], 0.005, { weightDecay: 5e-4 }));
});

test('LeNet-5: label smoothing, distillation and distance of scores together', async () => {
  const loss = { crossEntropy: 0.3, labelSmoothing: 0.1, distillation: { temperature: 4, weight: 0.7 }, logitsDistance: 0.01 };
  expectAsCloseAsPytorch('lenet, distilled', await threeSteps(lenet(), [1, 28, 28], 0.002, { loss }));
});

test('residual network: batch statistics, stride, projection', async () => {
  expectAsCloseAsPytorch('residual', await threeSteps(residual(), [3, 16, 16], 0.05, { weightDecay: 5e-4 }));
});
