/**
 * The best few candidates of a search are built with care, and the one that stays nearest to the original is taken. Scores on some thousand
 * samples, of networks fitted on few, tell the best candidates apart by luck mostly; the divergence from the original needs no labels, so it
 * can be taken on many more samples, and it counts every answer by how far it moved.
 */
import type { Candidate } from '../../protocol/policy';
import type { Model } from '../onnx/model';
import { predict, scoringSignature } from '../runtime/evaluate';
import type { SessionOptions } from '../runtime/onnxruntime';
import { withLogitsOnly } from '../training/logits';
import type { SampleSet } from './actor';
import { formatPercent } from './figures';

/** A finalist as it was compared with the others. */
export interface Compared {
  readonly id: string;
  /** KL divergence of its answers from the original's, in nats; absent where there was no comparison. */
  readonly divergence?: number;
}

/**
 * Complete candidates of stage 1 within the goal, most accurate first; of equals the smaller one, then the older.
 * @param within true where a candidate keeps to the goal
 */
export function finalistsOf(candidates: Iterable<Candidate>, count: number, within: (candidate: Candidate) => boolean): Candidate[] {
  return [...candidates]
    .filter((c) => c.stage === 'prune' && !c.partial && within(c))
    .sort((a, b) => b.accuracy - a.accuracy || a.cost.weightBytes - b.cost.weightBytes || a.episode - b.episode)
    .slice(0, count);
}

/** Lines of the report: what was compared, the one that was taken first. None where nothing was. */
export function finalistsSection(compared: readonly Compared[], candidates: readonly Candidate[]): string[] {
  if (compared.length < 2 || compared.some((c) => c.divergence === undefined)) return [];
  const accuracy = new Map(candidates.map((c) => [c.id, c.accuracy]));
  return [
    '### Finalists (the first was taken: built on more samples, its answers there diverge least from the original)',
    '',
    '| candidate | accuracy in the search | KL divergence, nats |',
    '|---|---|---|',
    ...compared.map(({ id, divergence }) => `| ${id} | ${formatPercent(accuracy.get(id)!)} | ${divergence!.toFixed(4)} |`),
    '',
  ];
}

/**
 * Mean over rows of KL(softmax(reference) ‖ softmax(scores)), in nats.
 * @param reference class scores [count, classes], as `scores`
 */
export function meanDivergence(reference: Float32Array, scores: Float32Array, classes: number): number {
  if (reference.length !== scores.length) throw new RangeError(`${scores.length} scores are compared with ${reference.length}`);
  let sum = 0;
  for (let row = 0; row < scores.length; row += classes) {
    const [a, b] = [reference, scores].map((values) => logSum(values, row, classes));
    for (let c = row; c < row + classes; c++) sum += Math.exp(reference[c] - a) * (reference[c] - a - (scores[c] - b));
  }
  return (sum * classes) / scores.length;
}

/** log Σ exp of one row. */
function logSum(values: Float32Array, row: number, classes: number): number {
  let most = Number.NEGATIVE_INFINITY;
  for (let c = row; c < row + classes; c++) most = Math.max(most, values[c]);
  let sum = 0;
  for (let c = row; c < row + classes; c++) sum += Math.exp(values[c] - most);
  return most + Math.log(sum);
}

/** How far the answers of models lie from the original's on the same samples. */
export class Reference {
  private constructor(
    private readonly set: SampleSet,
    private readonly scores: Float32Array,
    private readonly classes: number,
    private readonly options: SessionOptions & { signal?: AbortSignal },
  ) {}

  /** @param original a classifier */
  static async of(original: Model, set: SampleSet, options: SessionOptions & { signal?: AbortSignal } = {}): Promise<Reference> {
    const { scores, classes } = await logitsOf(original, set, options);
    return new Reference(set, scores, classes, options);
  }

  /** Mean divergence in nats; 0 for the original. */
  async divergence(model: Model): Promise<number> {
    const { scores } = await logitsOf(model, this.set, this.options);
    return meanDivergence(this.scores, scores, this.classes);
  }
}

/** Scores before the softmax that many files end in. */
function logitsOf(model: Model, set: SampleSet, options: SessionOptions & { signal?: AbortSignal }) {
  const scored = withLogitsOnly(model);
  return predict(scored, scoringSignature(scored), set, options);
}
