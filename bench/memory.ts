/**
 * Does training keep its memory? Runs LeNet-5 steps and prints the resident set (median over 100 steps) at the two ends of a stretch of steps.
 * onnxruntime's arena grows for the first few hundred steps; after that growth would be a leak.
 */
import { lenet5 } from '../src/engine/architectures/lenet5';
import { Random } from '../src/engine/random';
import { Trainer } from '../src/engine/training/trainer';
import { type BenchArguments, median, printRow } from './bench';

export interface MemoryFigures {
  readonly from: { readonly step: number; readonly bytes: number };
  readonly to: { readonly step: number; readonly bytes: number };
  /** Relative growth between the two. */
  readonly growth: number;
}

/** Steps before each end over which the resident set is sampled: single readings swing by some percent with the collector. */
const WINDOW = 100;

/** @param steps where the first and the second figure are taken */
export async function measureTrainingMemory(steps: readonly [number, number] = [400, 1400], batch = 128): Promise<MemoryFigures> {
  const random = new Random(1);
  const trainer = await Trainer.create(lenet5.build({ classes: 10, random }), { batch, threads: 1 });
  try {
    const inputs = Float32Array.from({ length: batch * 784 }, () => random.uniform());
    const labels = Int32Array.from({ length: batch }, () => random.below(10));
    const [before, after]: [number[], number[]] = [[], []];
    for (let step = 1; step <= steps[1]; step++) {
      await trainer.step({ inputs, labels }, 0.01);
      if (step > steps[0] - WINDOW && step <= steps[0]) before.push(process.memoryUsage().rss);
      if (step > steps[1] - WINDOW) after.push(process.memoryUsage().rss);
    }
    const [first, last] = [median(before), median(after)];
    return { from: { step: steps[0], bytes: first }, to: { step: steps[1], bytes: last }, growth: last / first - 1 };
  } finally {
    await trainer.dispose();
  }
}

/** Prints the resident set after step 400 and 1,400. */
export async function run(args: BenchArguments): Promise<void> {
  const { from, to, growth } = await measureTrainingMemory();
  printRow(args, {
    fromStep: from.step,
    toStep: to.step,
    fromMegabytes: from.bytes / 2 ** 20,
    toMegabytes: to.bytes / 2 ** 20,
    growthPercent: 100 * growth,
  });
}
