/**
 * What noise a network learns to bear: α of every unit after training with information dropout. Is its distribution a log-normal, as the
 * paper shows it? Fitted by the mean and deviation of log α; the distance is Kolmogorov and Smirnov's, largest difference of the two
 * distribution functions.
 */
import { Random } from '../../src/engine/random';
import { trainWithInformationDropout } from '../../src/engine/training/information-dropout';
import { BATCH, type Study } from './network';

const ALPHA_MAX = 0.7;
const BINS = 8;

export const noiseStudy: Study = async ({ network, args }) => {
  const { prepared, batches, about } = await network();
  const { model, layers } = prepared;
  const epochs = Number(args.options['noise-epochs'] ?? 2);
  const beta = Number(args.options['beta'] ?? 1e-3);
  const source = batches('information dropout');
  const noisy = layers.slice(0, -1);
  const { noise } = await trainWithInformationDropout(model, source, {
    epochs,
    batch: BATCH,
    learningRate: { base: 0.01, schedule: { kind: 'cosine' } },
    momentum: 0.9,
    weightDecay: 5e-4,
    random: new Random(1).fork('information-dropout'),
    noise: { layers: noisy.map((l) => l.node.outputs[0]), beta, alphaMax: ALPHA_MAX },
  }).finally(() => source.close());
  const lines = [
    `${about} Fine-tuned ${epochs} epochs with information dropout (α_max ${ALPHA_MAX}, β ${beta}, prior log-uniform, as the layers end in ReLU). α is the mean over positions and the`,
    'samples of the last epoch, one for each unit. *Distance* is the largest difference between the distribution of α and the log-normal fitted to it; a sample of that',
    'size drawn from a log-normal fitted in the same way is within the bound in 95 of 100 cases (Lilliefors 1967; simulated).',
    '',
    '| layer | units | median α | 10 % … 90 % | μ, σ of log α | distance | bound | log-normal? |',
    '| --- | --- | --- | --- | --- | --- | --- | --- |',
  ];
  const histograms: string[] = [];
  for (const [i, { alpha }] of noise.entries()) {
    const sorted = Float64Array.from(alpha).sort();
    const { mean, deviation } = logMoments(sorted);
    const distance = fittedDistance(sorted);
    const bound = simulatedBound(sorted.length, new Random(1));
    const at = (share: number): string => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))].toFixed(3);
    lines.push(
      `| ${noisy[i].name} | ${sorted.length} | ${at(0.5)} | ${at(0.1)} … ${at(0.9)} | ${mean.toFixed(3)}, ${deviation.toFixed(3)} | ${distance.toFixed(3)} | ${bound.toFixed(3)} | ${distance <= bound ? 'not refuted' : 'no'} |`,
    );
    histograms.push(...histogram(noisy[i].name, sorted, mean, deviation));
  }
  return [
    ...lines,
    '',
    `Units by α, in ${BINS} bins of equal width between least and largest, as counted and as the log-normal has them:`,
    '',
    ...histograms,
  ];
};

function logMoments(values: Float64Array): { mean: number; deviation: number } {
  const logs = values.map(Math.log);
  const mean = logs.reduce((a, v) => a + v, 0) / logs.length;
  return { mean, deviation: Math.sqrt(logs.reduce((a, v) => a + (v - mean) ** 2, 0) / (logs.length - 1)) };
}

/** Distribution function of the standard normal (Abramowitz, Stegun 1964, 7.1.26; error below 1.5e-7). */
function normalBelow(z: number): number {
  const t = 1 / (1 + (0.3275911 * Math.abs(z)) / Math.SQRT2);
  const series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))));
  const erf = 1 - series * Math.exp((-z * z) / 2);
  return z >= 0 ? (1 + erf) / 2 : (1 - erf) / 2;
}

/** Kolmogorov's distance of ascending values from the log-normal fitted to them. */
function fittedDistance(sorted: Float64Array): number {
  const { mean, deviation } = logMoments(sorted);
  let distance = 0;
  sorted.forEach((v, i) => {
    const expected = normalBelow((Math.log(v) - mean) / deviation);
    distance = Math.max(distance, Math.abs(expected - i / sorted.length), Math.abs((i + 1) / sorted.length - expected));
  });
  return distance;
}

/** The distance that 95 of 100 true samples of this size stay below, by simulation. */
function simulatedBound(size: number, random: Random): number {
  const distances = Float64Array.from({ length: 1000 }, () =>
    fittedDistance(Float64Array.from({ length: size }, () => Math.exp(random.normal())).sort()),
  );
  return distances.sort()[950];
}

function histogram(name: string, sorted: Float64Array, mean: number, deviation: number): string[] {
  const [low, high] = [sorted[0], sorted[sorted.length - 1]];
  const edges = Array.from({ length: BINS + 1 }, (_, i) => low + ((high - low) * i) / BINS);
  const below = (v: number): number => normalBelow((Math.log(v) - mean) / deviation);
  const cells = edges.slice(1).map((to, i) => {
    const last = i === BINS - 1;
    const counted = sorted.filter((v) => v >= edges[i] && (last || v < to)).length;
    const expected = sorted.length * ((last ? 1 : below(to)) - (i === 0 ? 0 : below(edges[i])));
    return `${counted} / ${expected.toFixed(1)}`;
  });
  return [
    `| ${name} | ${edges
      .slice(1)
      .map((e) => `to ${e.toFixed(3)}`)
      .join(' | ')} |`,
    `|${' --- |'.repeat(BINS + 1)}`,
    `| counted / log-normal | ${cells.join(' | ')} |`,
    '',
  ];
}
