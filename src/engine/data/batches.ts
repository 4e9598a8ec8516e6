/**
 * Batches of a split, ready for a model. The order and the random changes of epoch e depend on the passed Random and e alone, never on timing
 * or on whether a thread makes the batches.
 */

import { UserError } from '../errors';
import type { Random } from '../random';
import { SampleWriter } from './augment';
import { AugmentThreadClient } from './augment-thread-client';
import type { Augmentation, Batch, Normalization, Split } from './dataset';
import { writeSamples } from './write-samples';

export interface BatchOptions {
  /** Samples in a batch. */
  readonly batch: number;
  readonly normalization: Normalization;
  /** Random changes of the images; for training only. */
  readonly augmentation?: Augmentation;
  /** A new order each epoch; for training. Default false. */
  readonly shuffle?: boolean;
  /** Needed to shuffle or augment. Its state when the pipeline is made counts; later draws from it change nothing here. */
  readonly random?: Random;
  /** Leave out a last batch that is not full, so that a training step's graph always sees one size. Default: as `shuffle`. */
  readonly dropLast?: boolean;
  /**
   * The file of the augmentation thread (`augment-thread.ts`, bundled on its own). With it batches of rotated, scaled, sheared or elastic images are made in a
   * worker thread, one ahead, while the caller's `session.run` blocks its own; all others are cheap (a crop and flip of 128 CIFAR images costs about 1 ms,
   * affine and elastic changes of 128 digits 3 to 7) and made where they are asked for. The batches are the same either way.
   */
  readonly threadFile?: string | URL;
}

export class BatchPipeline {
  /** Batches that one epoch has. */
  readonly batchesPerEpoch: number;
  /** Samples that one epoch has: fewer than the split's where a last partial batch is dropped. */
  readonly samplesPerEpoch: number;
  private readonly writer: SampleWriter;
  private readonly random?: Random;
  private thread?: AugmentThreadClient;

  constructor(
    readonly split: Split,
    private readonly options: BatchOptions,
  ) {
    const { batch, normalization, augmentation, shuffle = false, random, dropLast = shuffle } = options;
    const { dataset, rows } = split;
    if (!Number.isInteger(batch) || batch < 1)
      throw new UserError(`The batch size is ${batch}; it must be a whole number from 1.`, 'Usual sizes are 32 to 256.');
    this.writer = new SampleWriter(dataset.shape, normalization, augmentation);
    if ((shuffle || this.writer.draws) && !random) throw new Error('A batch pipeline that shuffles or augments needs a Random.');
    this.random = random?.fork('batches');
    this.batchesPerEpoch = dropLast ? Math.floor(rows.length / batch) : Math.ceil(rows.length / batch);
    this.samplesPerEpoch = Math.min(rows.length, this.batchesPerEpoch * batch);
    if (this.batchesPerEpoch === 0) {
      throw new UserError(
        `The split of ${dataset.name} has ${rows.length} rows, fewer than one batch of ${batch}.`,
        'Choose a smaller batch, or give the split more rows.',
      );
    }
    if (options.threadFile !== undefined && this.writer.bends) {
      this.thread = new AugmentThreadClient(options.threadFile, dataset, normalization, augmentation ?? {});
    }
  }

  /** The batches of one epoch, each in arrays of its own. Stop early by leaving the loop. */
  async *batches(epoch: number): AsyncGenerator<Batch, void, undefined> {
    const draws = this.random?.fork(`epoch ${epoch}`);
    const rows = this.order(draws);
    const { thread } = this;
    if (!thread) {
      for (let i = 0; i < this.batchesPerEpoch; i++) yield this.make(this.rowsOf(rows, i), draws?.fork(`batch ${i}`));
      return;
    }
    const request = (i: number) => {
      const inputs = i < this.batchesPerEpoch ? thread.request(this.rowsOf(rows, i), draws!.fork(`batch ${i}`)) : undefined;
      // Where the caller leaves the loop, nobody awaits the batch made ahead: its failure is then of no interest.
      inputs?.catch(() => undefined);
      return inputs;
    };
    let next = request(0);
    for (let i = 0; i < this.batchesPerEpoch; i++) {
      const inputs = next;
      next = request(i + 1);
      const batchRows = this.rowsOf(rows, i);
      yield { inputs: await inputs!, labels: this.labelsOf(batchRows), targets: this.targetsOf(batchRows), count: batchRows.length };
    }
  }

  /** Ends the thread, if there is one. Batches can still be made afterwards, without it. */
  async close(): Promise<void> {
    const { thread } = this;
    this.thread = undefined;
    await thread?.close();
  }

  private order(draws: Random | undefined): Uint32Array {
    const { rows } = this.split;
    if (!this.options.shuffle) return rows;
    return draws!
      .fork('order')
      .permutation(rows.length)
      .map((i) => rows[i]);
  }

  private rowsOf(rows: Uint32Array, index: number): Uint32Array {
    return rows.subarray(index * this.options.batch, Math.min((index + 1) * this.options.batch, rows.length));
  }

  private make(rows: Uint32Array, draws: Random | undefined): Batch {
    const inputs = new Float32Array(rows.length * this.writer.size);
    writeSamples(this.writer, this.split.dataset.inputs, rows, inputs, draws);
    return { inputs, labels: this.labelsOf(rows), targets: this.targetsOf(rows), count: rows.length };
  }

  private targetsOf(rows: Uint32Array): Float32Array | undefined {
    const first = this.split.dataset.targets?.outputs[0];
    if (!first) return undefined;
    const { width, values } = first;
    const out = new Float32Array(rows.length * width);
    rows.forEach((row, i) => {
      out.set(values.subarray(row * width, (row + 1) * width), i * width);
    });
    return out;
  }

  private labelsOf(rows: Uint32Array): Int32Array | undefined {
    const { labels } = this.split.dataset;
    return labels && Int32Array.from(rows, (row) => labels[row]);
  }
}
