/** Where a sequence of pruning decisions stands, and a store of places it has been. */
import type { Model } from '../onnx/model';
import type { Tensor } from '../onnx/tensor';
import type { Activation } from './segment';

/** What one decision did. */
export interface PruneStep {
  readonly group: string;
  /** Channels that stay, ascending. */
  readonly kept: readonly number[];
  /** Layers rebuilt, in order, with the error left (fraction of the target's variance, on the calibration sample). */
  readonly rebuilt: ReadonlyArray<{ readonly layer: string; readonly error: number }>;
  /** Layers that read the channels and were not rebuilt, with reasons. */
  readonly skipped: ReadonlyArray<{ readonly layer: string; readonly reason: string }>;
  /** Set where the selection asked for was not possible, with what was done instead. */
  readonly fallback?: string;
}

/** After some decisions; never written to. */
export interface PruningState {
  /** The decisions so far, as a key. */
  readonly key: string;
  /** All initializers at full size: removed inputs are zero in rebuilt layers. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Channels removed, by group id. */
  readonly removals: ReadonlyMap<string, readonly number[]>;
  /** The smaller model. */
  readonly model: Model;
  /** Node index of the layer rebuilt last; −1 where none was. */
  readonly done: number;
  readonly step?: PruneStep;
  /** Values computed so far, from which the next step goes on. */
  readonly frontier: Frontier;
}

/** Values of the current model at a cut: enough to compute everything that comes from node `index` on. */
export interface Frontier {
  readonly index: number;
  readonly values: ReadonlyMap<string, Activation>;
}

/** States by their decisions, the latest used last; the oldest go where they take more than `limit` bytes. */
export class StateCache {
  private readonly entries = new Map<string, { state: PruningState; bytes: number }>();
  private size = 0;

  /** @param given values that every state has, which take no memory of their own */
  constructor(
    private readonly limit: number,
    private readonly given: { has(value: string): boolean },
  ) {}

  recall(key: string): PruningState | undefined {
    const entry = this.entries.get(key);
    if (!entry) return undefined;
    this.entries.delete(key);
    this.entries.set(key, entry);
    return entry.state;
  }

  remember(state: PruningState): void {
    let bytes = 0;
    for (const t of state.model.graph.initializers.values()) bytes += 2 * t.bytes.byteLength;
    for (const [name, a] of state.frontier.values) if (!this.given.has(name)) bytes += a.data.byteLength;
    this.entries.set(state.key, { state, bytes });
    this.size += bytes;
    for (const [key, entry] of this.entries) {
      if (this.size <= this.limit) break;
      this.entries.delete(key);
      this.size -= entry.bytes;
    }
  }
}
