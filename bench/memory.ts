/**
 * Does training keep its memory? Runs LeNet-5 steps and prints the resident set (median over 100 steps) at the two ends of a stretch of steps.
 * onnxruntime's arena grows for the first few hundred steps; after that growth would be a leak.
 */
import { lenet5 } from '../src/engine/architectures/lenet5';
import { Random } from '../src/engine/random';
import { Trainer } from '../src/engine/training/trainer';

export interface MemoryFigures {
  readonly from: { readonly step: number; readonly bytes: number };
  readonly to: { readonly step: number; readonly bytes: number };
  /** Relative growth between the two. */
  readonly growth: number;
}

/** Steps before each end over which the resident set is sampled: single readings swing by some percent with the collector. */
const WINDOW = 100;

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1];

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

/** `memory [first step] [last step]` */
export async function run(args: readonly string[]): Promise<void> {
  const [first = 400, last = 1400] = args.map(Number);
  if (!(first >= WINDOW && last >= first + WINDOW))
    throw new RangeError(`give two steps at least ${WINDOW} apart, the first from ${WINDOW} on`);
  const { from, to, growth } = await measureTrainingMemory([first, last]);
  const mib = (bytes: number): string => (bytes / 2 ** 20).toFixed(1);
  console.log(
    `LeNet-5, batch 128, one thread, seed 1, Node ${process.version}: ${mib(from.bytes)} MiB after step ${from.step}, ` +
      `${mib(to.bytes)} MiB after step ${to.step} (${growth >= 0 ? '+' : ''}${(100 * growth).toFixed(2)} %)`,
  );
}
