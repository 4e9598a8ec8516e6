/** The network of one episode of masking: a layer is masked, everything is trained a little with the masks held, the next is masked. */
import type { Layer } from '../graph/layers';
import type { Model } from '../onnx/model';
import { applyMasks, magnitudeMask } from '../pruning/weight-masks';
import { Trainer, TrainingDiverged } from '../training/trainer';
import type { TuningBatch } from './actor';
import type { MaskDecision } from './weight-mask-environment';

export interface MaskTuning {
  /** Taken in turn: step i of a layer's fine-tuning is on batch (layer · steps + i) mod their number. */
  readonly batches: readonly TuningBatch[];
  /** Steps after each layer. */
  readonly steps: number;
  readonly learningRate: number;
}

/**
 * Masks and fine-tunes in order. What it gives follows from the decisions alone, so that the same policy has the same figures in every
 * episode, on every actor and after a resume.
 */
export class WeightMaskTrajectory {
  private readonly byName: ReadonlyMap<string, Layer>;
  private readonly known = new Map<string, Float32Array>();
  private trainer: Trainer | undefined;
  /** State before the first decision, and the decisions made since. */
  private start: ReturnType<Trainer['state']> | undefined;
  private made: MaskDecision[] = [];

  constructor(
    private readonly model: Model,
    layers: readonly Layer[],
    /** Absent: masks are put on the original weights, nothing is trained. */
    private readonly tuning?: MaskTuning,
  ) {
    this.byName = new Map(layers.map((l) => [l.name, l]));
  }

  /** The original weights under the masks of these decisions. */
  untrained(decisions: readonly MaskDecision[]): Model {
    return applyMasks(this.model, new Map(decisions.map((d) => [this.weightOf(d), this.maskOf(d)])));
  }

  /** The model after these decisions; undefined where the fine-tuning diverges: the candidate is of no use then. */
  async at(decisions: readonly MaskDecision[]): Promise<Model | undefined> {
    const { tuning } = this;
    if (!tuning || tuning.steps === 0) return this.untrained(decisions);
    const trainer = await this.begun(tuning);
    const goesOn = this.made.every(([name, sparsity], i) => decisions[i]?.[0] === name && decisions[i][1] === sparsity);
    if (!goesOn) this.beginAnew(trainer);
    try {
      for (const decision of decisions.slice(this.made.length)) {
        trainer.setMask(this.weightOf(decision), this.maskOf(decision));
        for (let i = 0; i < tuning.steps; i++) {
          const batch = tuning.batches[(this.made.length * tuning.steps + i) % tuning.batches.length];
          await trainer.step(batch, tuning.learningRate);
        }
        this.made.push(decision);
      }
    } catch (e) {
      if (!(e instanceof TrainingDiverged)) throw e;
      // The next policy must not go on from weights that no decision stands for.
      this.beginAnew(trainer);
      return undefined;
    }
    return trainer.model();
  }

  private beginAnew(trainer: Trainer): void {
    trainer.restore(this.start!);
    this.made = [];
  }

  private async begun(tuning: MaskTuning): Promise<Trainer> {
    if (this.trainer) return this.trainer;
    const dense = [...this.byName.values()].map((l) => [l.weight, new Float32Array(this.sizeOf(l)).fill(1)] as const);
    this.trainer = await Trainer.create(this.model, {
      batch: tuning.batches[0].labels.length,
      masks: new Map(dense),
      momentum: 0.9,
      weightDecay: 0,
      threads: 1,
    });
    this.start = this.trainer.state();
    return this.trainer;
  }

  private weightOf([name]: MaskDecision): string {
    const layer = this.byName.get(name);
    if (!layer) throw new Error(`the model has no layer '${name}' to mask`);
    return layer.weight;
  }

  private sizeOf({ weight }: Layer): number {
    return this.model.graph.initializers.get(weight)!.size;
  }

  private maskOf(decision: MaskDecision): Float32Array {
    const key = `${decision[1]}:${decision[0]}`;
    let mask = this.known.get(key);
    if (!mask) {
      mask = magnitudeMask(this.model.graph.initializers.get(this.weightOf(decision))!.floats(), decision[1]);
      this.known.set(key, mask);
    }
    return mask;
  }

  async dispose(): Promise<void> {
    const { trainer } = this;
    this.trainer = undefined;
    await trainer?.dispose();
  }
}
