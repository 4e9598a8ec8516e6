/** One pruning decision while it is being made: the model as it changes, and the values computed of it so far. */
import type { ChannelGroup } from '../graph/channel-group';
import { type Model, readsOf } from '../onnx/model';
import { elementCount, type Tensor } from '../onnx/tensor';
import type { RuntimeTensor } from '../runtime/onnxruntime';
import type { Frontier, PruneStep, PruningState } from './pruning-state';
import type { Activation } from './segment';

/** What a step in progress needs of its pruner. */
export interface WorkContext {
  removeFrom(tensors: ReadonlyMap<string, Tensor>, removals: ReadonlyMap<string, readonly number[]>): Model;
  /** The original graph with other tensors. */
  full(tensors: ReadonlyMap<string, Tensor>): Model;
  groupOf(id: string): ChannelGroup;
  start(): Frontier;
  run(
    model: Model,
    frontier: Frontier,
    wanted: readonly string[],
    visit: (first: number, values: ReadonlyMap<string, RuntimeTensor>) => void,
  ): Promise<void>;
  /** True where a value can be cut along its first axis, by samples. */
  splits(value: string): boolean;
  count(): number;
  chunk(): number;
  activationLimit(): number;
}

/** A step in progress: tensors are replaced, never written to, so that the state before stays good. */
export class PruningWork {
  tensors: Map<string, Tensor>;
  removals: Map<string, readonly number[]>;
  done: number;
  private frontiers: Frontier[];
  /** Where `back` went last: the step may return there. */
  private returns = 0;
  private built: Model | undefined;

  constructor(
    private readonly context: WorkContext,
    from: PruningState,
  ) {
    this.tensors = new Map(from.tensors);
    this.removals = new Map(from.removals);
    this.done = from.done;
    this.frontiers = [context.start(), from.frontier];
    this.built = from.model;
  }

  get model(): Model {
    this.built ??= this.context.removeFrom(this.tensors, this.removals);
    return this.built;
  }

  full(): Model {
    return this.context.full(this.tensors);
  }

  /** Forgets values computed behind a node that is about to change. */
  back(index: number): void {
    this.returns = index;
    this.frontiers = this.frontiers.filter((f) => f.index <= index);
  }

  remove(id: string, channels: readonly number[], firstTouched: number): void {
    this.back(firstTouched);
    this.removals.set(id, channels);
    this.built = undefined;
  }

  write(tensors: readonly Tensor[], index: number): void {
    for (const t of tensors) this.tensors.set(t.name, t);
    this.built = undefined;
    this.done = index;
  }

  /** Positions along an axis of a weight that are still there. */
  keptAlong(tensor: string, axis: number): number[] {
    const gone = new Set<number>();
    for (const [id, channels] of this.removals) {
      for (const m of this.context.groupOf(id).weights) {
        if (m.tensor === tensor && m.axis === axis) for (const c of channels) for (const p of m.positions[c]) gone.add(p);
      }
    }
    const length = this.tensors.get(tensor)!.dims[axis];
    return Array.from({ length }, (_, i) => i).filter((i) => !gone.has(i));
  }

  /** Computes values of the current model, and keeps those at the cut before node `index` to go on from. */
  async compute(
    wanted: readonly string[],
    index: number,
    visit: (first: number, values: ReadonlyMap<string, RuntimeTensor>) => void,
  ): Promise<void> {
    const { context } = this;
    const frontier = latest(this.frontiers);
    // Values that follow from the data, by the node that makes them; constants are computed anew where they are needed.
    const produced = new Map(this.model.graph.inputs.map((i) => [i.name, -1]));
    this.model.graph.nodes.forEach((n, i) => {
      if (readsOf(n).some((r) => produced.has(r))) for (const o of n.outputs) produced.set(o, i);
    });
    const crossing = new Set<string>();
    if (index > frontier.index) {
      this.model.graph.nodes.forEach((n, i) => {
        if (i >= index) for (const r of readsOf(n)) if ((produced.get(r) ?? index) < index) crossing.add(r);
      });
    }
    const kept = new Map<string, Activation>();
    let fits = crossing.size > 0 && [...crossing].every((name) => context.splits(name));
    let bytes = 0;
    await context.run(this.model, frontier, [...new Set([...wanted, ...crossing])], (first, values) => {
      const rows = Math.min(context.chunk(), context.count() - first);
      for (const name of crossing) {
        if (!fits) break;
        // What was there before stays as it is: the model's inputs, of whatever type.
        const before = frontier.values.get(name);
        if (before) {
          kept.set(name, before);
          continue;
        }
        const value = values.get(name)!;
        let activation = kept.get(name);
        const size = elementCount(value.shape.slice(1));
        if (!activation) {
          bytes += context.count() * size * 4;
          if (!(value.data instanceof Float32Array) || value.shape[0] !== rows || bytes > context.activationLimit()) {
            fits = false;
            break;
          }
          activation = { dims: value.shape.slice(1), data: new Float32Array(context.count() * size) };
          kept.set(name, activation);
        }
        (activation.data as Float32Array).set(value.data as Float32Array, first * size);
      }
      visit(first, values);
    });
    if (fits) this.keep({ index, values: kept });
  }

  /** Values of one cut may take a gigabyte: only those that are furthest on, and those that the step may return to, are held. */
  private keep(next: Frontier): void {
    const before = latest(this.frontiers.filter((f) => f.index <= this.returns));
    this.frontiers = [this.context.start(), before, next];
  }

  state(key: string, step?: PruneStep): PruningState {
    const frontier = latest(this.frontiers);
    return { key, tensors: this.tensors, removals: this.removals, model: this.model, done: this.done, step, frontier };
  }
}

const latest = (frontiers: readonly Frontier[]): Frontier => frontiers.reduce((a, b) => (b.index >= a.index ? b : a));
