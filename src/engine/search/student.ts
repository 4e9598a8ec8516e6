/** N2N's student: the teacher without some parts and with narrower layers, taught for a short time. */
import { UserError } from '../errors';
import { findChannelGroups } from '../graph/channel-groups';
import { removeParts } from '../graph/removable-parts';
import { l1 } from '../importance/l1';
import { highestChannels } from '../importance/registry';
import type { Model } from '../onnx/model';
import { otherChannels, removeChannels } from '../pruning/remove-channels';
import { Random } from '../random';
import type { LossOptions } from '../training/losses';
import { Trainer, type TrainingBatch } from '../training/trainer';
import type { WidthDecision } from './prune-environment';

export interface StudentTeaching {
  /** With the teacher's scores; taken in turn. */
  readonly batches: ReadonlyArray<TrainingBatch & { readonly inputs: Float32Array }>;
  /** Images of each. */
  readonly batch: number;
  readonly steps: number;
  readonly learningRate: number;
  readonly loss: LossOptions;
}

export interface StudentDesign {
  /** Names of the parts taken out, in this order. */
  readonly removed: readonly string[];
  /** Channels that groups of the network without those parts keep. */
  readonly widths: readonly WidthDecision[];
}

/** Builds students; what it gives follows from the design alone. */
export class StudentBuilder {
  private readonly networks = new Map<string, Model>();

  constructor(
    private readonly teacher: Model,
    /** Absent: students stay as they are cut. */
    private readonly teaching?: StudentTeaching,
  ) {}

  /** The student before it is taught: parts gone, of each group the channels with the largest L1 norm left. */
  cut({ removed, widths }: StudentDesign): Model {
    const key = removed.join('\n');
    const network = this.networks.get(key) ?? removeParts(this.teacher, removed);
    this.networks.set(key, network);
    const { groups } = findChannelGroups(network);
    const removals = new Map<string, readonly number[]>();
    for (const [id, keep] of widths) {
      const group = groups.find((g) => g.id === id);
      if (!group) throw new Error(`the student has no channel group '${id}'`);
      const kept = highestChannels(l1.score(group, network, new Random(0)), keep);
      if (keep < group.channels) removals.set(id, otherChannels(group, kept));
    }
    return removals.size > 0 ? removeChannels(network, removals, groups) : network;
  }

  /** The student taught for a short time; undefined where that diverges: the student is of no use then. */
  async taught(design: StudentDesign): Promise<Model | undefined> {
    const { teaching } = this;
    const student = this.cut(design);
    if (!teaching || teaching.steps === 0) return student;
    const { batches, batch, steps, learningRate, loss } = teaching;
    const trainer = await Trainer.create(student, { batch, loss, momentum: 0.9, weightDecay: 0, threads: 1 });
    try {
      for (let i = 0; i < steps; i++) await trainer.step(batches[i % batches.length], learningRate);
      return trainer.model();
    } catch (e) {
      if (e instanceof UserError) return undefined;
      throw e;
    } finally {
      await trainer.dispose();
    }
  }
}
