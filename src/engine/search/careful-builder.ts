/** Builds the policies that are left in the end with more samples than candidates are scored with (`pruning.final`). */
import { totalmem } from 'node:os';
import { parseModel } from '../onnx/file';
import { ACTIVATION_BYTES } from '../pruning/prune-sequence';
import { accuracyOf } from '../runtime/evaluate';
import { type ActorSetup, CompressionActor } from './actor';
import { type Compared, Reference } from './finalists';
import { firstSamples } from './prepare';
import type { WidthDecision } from './prune-environment';
import type { RunContext } from './run-context';

/** A policy as it is built. */
export interface Finalist {
  /** Of its candidate. */
  readonly id: string;
  readonly decisions: readonly WidthDecision[];
  /** On the search samples, as the search built and scored it; absent where what it scored was trained as well. */
  readonly accuracy?: number;
}

export class CarefulBuilder {
  /** The nearest finalist, where it was built in this process, as file bytes. */
  private known?: { readonly id: string; readonly bytes: Uint8Array };

  /** @param candidates how the search builds them */
  constructor(
    private readonly context: RunContext,
    private readonly candidates: ActorSetup,
  ) {}

  /** False where nothing is fitted, or candidates are fitted to as many samples already. */
  private get careful(): boolean {
    const { final, calibrationImages, positions, reconstruct } = this.context.config.pruning;
    return reconstruct && (final.calibrationImages > calibrationImages || final.positions > positions);
  }

  private get samples() {
    const { config, prepared } = this.context;
    return firstSamples(prepared.data.finalCalibration, config.pruning.final.calibrationImages);
  }

  /**
   * The finalists, that one first whose answers diverge least from the original's once it is built; as they came, and not compared, where nothing is
   * built so, or answers are no classes. A resumed run does not build again what its journal has.
   * @param finalists best first, at least one
   */
  async compared(finalists: readonly Finalist[]): Promise<readonly Compared[]> {
    const { prepared, recorder, cores, signal } = this.context;
    const { target, classes } = prepared.data;
    if (finalists.length < 2 || !this.careful || target !== 'classes' || classes < 2) return finalists.map(({ id }) => ({ id }));
    return recorder.once('finalists', async () => {
      recorder.phase('reconstruct');
      const reference = await Reference.of(prepared.model, this.samples, { threads: cores, signal });
      const started = performance.now();
      const all: Array<{ readonly id: string; readonly divergence: number }> = [];
      for (const [index, { id, decisions }] of finalists.entries()) {
        let bytes: Uint8Array | undefined;
        const divergence = await recorder.once(`finalist:${id}`, async () => {
          bytes = await this.build(decisions, (done, of) => {
            const share = (index + done / of) / finalists.length;
            recorder.update({ secondsLeft: ((performance.now() - started) / 1000) * (1 / share - 1) }, true);
          });
          return reference.divergence(parseModel(bytes));
        });
        if (all.every((other) => divergence < other.divergence)) this.known = bytes && { id, bytes };
        all.push({ id, divergence });
      }
      return all.sort((a, b) => a.divergence - b.divergence);
    });
  }

  /**
   * A policy reconstructed on more samples; the quick form where that scores worse on the search samples by more than a margin. The quick
   * form was chosen among many by this very score, so part of its lead is luck.
   * @returns file bytes
   */
  async built({ id, decisions, accuracy }: Finalist): Promise<Uint8Array> {
    const { config, prepared, recorder, cores, signal } = this.context;
    const quick = (): Promise<Uint8Array> => builtBy(new CompressionActor(this.candidates, { signal }), decisions);
    if (!this.careful) return quick();
    recorder.phase('reconstruct');
    const started = performance.now();
    const onDecision = (done: number, of: number): void =>
      recorder.update({ secondsLeft: (((performance.now() - started) / 1000) * (of - done)) / done }, true);
    const bytes = this.known?.id === id ? this.known.bytes : await this.build(decisions, onDecision);
    const score = (model: Uint8Array): Promise<number> => accuracyOf(parseModel(model), prepared.data.search, { threads: cores, signal });
    const least = (accuracy ?? (await score(await quick()))) - config.pruning.final.margin;
    return (await score(bytes)) >= least ? bytes : quick();
  }

  private build(decisions: readonly WidthDecision[], onDecision: (done: number, of: number) => void): Promise<Uint8Array> {
    const { config, cores, signal } = this.context;
    const pruning = {
      ...this.candidates.pruning,
      positions: config.pruning.final.positions,
      threads: cores,
      activationBytes: activationBytes(),
    };
    const setup = { ...this.candidates, calibration: this.samples, pruning };
    return builtBy(new CompressionActor(setup, { signal, onDecision }), decisions);
  }
}

async function builtBy(actor: CompressionActor, decisions: readonly WidthDecision[]): Promise<Uint8Array> {
  try {
    return (await actor.run({ kind: 'build', decisions })).model!;
  } finally {
    await actor.dispose();
  }
}

/**
 * Bytes that one cut's activations may take here, where one builder works alone and on many samples. A gigabyte holds those of 8,000 images in
 * ResNet-20 and -56; where they do not fit, each layer is computed from the inputs again.
 */
function activationBytes(): number {
  const memory = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
  return Math.max(ACTIVATION_BYTES, Math.min(2 ** 30, memory / 16));
}
