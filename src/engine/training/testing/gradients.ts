/** Test support: the gradients of a whole training graph against differences of its own loss. */
import { expect } from 'vitest';
import type { Model } from '../../onnx/model';
import { Random } from '../../random';
import { Trainer, type TrainerOptions, type TrainingBatch } from '../trainer';

/**
 * Compares the gradient of every parameter with a five-point difference of the loss along random directions.
 * @param step of the differences, relative to a direction of unit length
 * @param fresh makes a new trainer for every loss, so that random operators draw the same numbers again
 */
export async function expectRightGradients(
  model: Model,
  batch: TrainingBatch,
  options: () => TrainerOptions,
  {
    step = 0.01,
    tolerance = 0.01,
    probes = 2,
    fresh = false,
  }: { step?: number; tolerance?: number; probes?: number; fresh?: boolean } = {},
): Promise<Map<string, Float32Array>> {
  const create = (): Promise<Trainer> => Trainer.create(model, { ...options(), weightDecay: 0, momentum: 0, threads: 1 });
  const shared = await create();
  const start = shared.state();
  const run = async (name?: string, move: (i: number) => number = () => 0) => {
    const trainer = fresh ? await create() : shared;
    try {
      const weights = name ? { ...start.weights, [name]: start.weights[name].map((w, i) => w + move(i)) } : start.weights;
      trainer.restore({ ...start, weights });
      const { loss } = await trainer.step(batch, 0);
      // With no momentum, the velocity after a step is the gradient.
      return { loss, gradients: trainer.state().velocities };
    } finally {
      if (fresh) await trainer.dispose();
    }
  };
  try {
    const { gradients } = await run();
    const random = new Random(5);
    for (const [name, gradient] of Object.entries(gradients)) {
      const size = Math.hypot(...gradient);
      for (let probe = 0; probe < probes; probe++) {
        const direction = Float64Array.from(gradient, () => random.normal());
        const length = Math.hypot(...direction);
        // Half of the probes go along the gradient itself, where a wrong scale shows most.
        const unit = direction.map((d, i) => (probe % 2 === 0 && size > 0 ? gradient[i] / size : d / length));
        const at = async (t: number): Promise<number> => (await run(name, (i) => t * unit[i])).loss;
        const [a, b, c, d] = [await at(-2 * step), await at(-step), await at(step), await at(2 * step)];
        const measured = (a - 8 * b + 8 * c - d) / (12 * step);
        const claimed = unit.reduce((sum, u, i) => sum + u * gradient[i], 0);
        const rounding = (4 * 2 ** -23 * Math.abs(c)) / step;
        expect(Math.abs(measured - claimed), `${name}: ${claimed} claimed, ${measured} measured`).toBeLessThan(tolerance * size + rounding);
      }
    }
    return new Map(Object.entries(gradients));
  } finally {
    await shared.dispose();
  }
}
