/**
 * Stage 1 as the Markov decision process of Salvi ("Pruning Neural Networks with Lottery Tickets in a MDP Approach"): the state is the mask,
 * an action deletes rows of one weight matrix that are not deleted yet, the reward is the accuracy of the masked network.
 */
import type { Environment, Outcome, Step, StepResult } from '../agents/agent';
import type { Model } from '../onnx/model';
import { channelLayout } from '../quantization/quantizers';
import type { MaskableLayer } from './ticket-training';

/** Rows of a layer (the weights of one unit or filter), in blocks that are deleted in one order: else no mask would ever be seen twice. */
export interface RowLayer {
  readonly name: string;
  /** Initializer, and the axis along which its rows lie. */
  readonly weight: string;
  readonly axis: number;
  /** Rows by ascending L2 norm: the order in which they go. */
  readonly order: Uint32Array;
  readonly weightsPerRow: number;
  readonly rowsPerBlock: number;
  /** Blocks that may go; at least one row always stays. */
  readonly blocks: number;
}

/**
 * The layers whose rows may go, cut into blocks of about the same number of weights, so that each action removes about as much.
 * The output layer has a row for each class and keeps them all.
 * @param blockWeights least weights of one block; above 0
 */
export function rowLayers(model: Model, layers: readonly MaskableLayer[], blockWeights: number): RowLayer[] {
  return layers.flatMap(({ layer, output, most }): RowLayer[] => {
    const tensor = model.graph.initializers.get(layer.weight)!;
    const rows = tensor.dims[layer.outAxis];
    const weightsPerRow = tensor.size / rows;
    const rowsPerBlock = Math.ceil(blockWeights / weightsPerRow);
    const blocks = Math.floor(Math.min(rows - 1, most * rows) / rowsPerBlock);
    if (output || blocks < 1) return [];
    const weights = tensor.floats();
    const layout = channelLayout(tensor.dims, layer.outAxis);
    const norms = Float64Array.from({ length: rows }, (_, row) => {
      let sum = 0;
      layout.forEach(row, (i) => {
        sum += weights[i] ** 2;
      });
      return sum;
    });
    const order = Uint32Array.from(norms.keys()).sort((a, b) => norms[a] - norms[b] || a - b);
    return [{ name: layer.name, weight: layer.weight, axis: layer.outAxis, order, weightsPerRow, rowsPerBlock, blocks }];
  });
}

/** Masks by initializer name with so many blocks of each layer deleted. */
export function rowMasks(model: Model, layers: readonly RowLayer[], deleted: readonly number[]): Map<string, Float32Array> {
  return new Map(
    layers.map(({ weight, axis, order, rowsPerBlock }, l) => {
      const { dims, size } = model.graph.initializers.get(weight)!;
      return [weight, maskOfRows(dims, axis, size, order.subarray(0, deleted[l] * rowsPerBlock))];
    }),
  );
}

/** A mask in which these rows are zero. */
export function maskOfRows(dims: readonly number[], axis: number, size: number, rows: Iterable<number>): Float32Array {
  const mask = new Float32Array(size).fill(1);
  const layout = channelLayout(dims, axis);
  for (const row of rows) {
    layout.forEach(row, (i) => {
      mask[i] = 0;
    });
  }
  return mask;
}

export interface RowMaskProblem {
  readonly layers: ReadonlyArray<Pick<RowLayer, 'name' | 'blocks'>>;
  /** Actions of an episode; at most as many as there are blocks. */
  readonly steps: number;
  /** Measures the network with so many blocks of each layer deleted. */
  evaluate(deleted: readonly number[]): Promise<Outcome>;
}

/** An observation is the mask: the share of each layer's blocks that is deleted. Action i of n layers is the number i/(n − 1). */
export class RowMaskEnvironment implements Environment {
  readonly observationSize: number;
  readonly steps: number;
  private deleted: number[] = [];
  private taken = 0;

  constructor(private readonly problem: RowMaskProblem) {
    const blocks = problem.layers.reduce((sum, l) => sum + l.blocks, 0);
    if (problem.steps > blocks) throw new RangeError(`${problem.steps} steps and only ${blocks} blocks of rows`);
    this.observationSize = problem.layers.length;
    this.steps = problem.steps;
  }

  reset(): Promise<Step> {
    this.deleted = this.problem.layers.map(() => 0);
    this.taken = 0;
    return Promise.resolve(this.current());
  }

  async step(action: number): Promise<StepResult> {
    const layer = this.nearestOpen(action);
    this.deleted[layer]++;
    this.taken++;
    const outcome = await this.problem.evaluate([...this.deleted]);
    const done = this.taken === this.steps;
    return { executed: this.actionOf(layer), outcome, next: done ? undefined : this.current(), done };
  }

  private current(): Step {
    const { layers } = this.problem;
    const open = layers.flatMap((l, i) => (this.deleted[i] < l.blocks ? [this.actionOf(i)] : []));
    return {
      observation: layers.map((l, i) => this.deleted[i] / l.blocks),
      bounds: { low: open[0], high: open[open.length - 1] },
    };
  }

  private actionOf(layer: number): number {
    const { layers } = this.problem;
    return layers.length > 1 ? layer / (layers.length - 1) : 0;
  }

  /** The layer that an action means; where all its blocks are deleted, the next one that has some. */
  private nearestOpen(action: number): number {
    const { layers } = this.problem;
    let best = -1;
    for (let i = 0; i < layers.length; i++) {
      if (this.deleted[i] >= layers[i].blocks) continue;
      if (best < 0 || Math.abs(this.actionOf(i) - action) < Math.abs(this.actionOf(best) - action) - 1e-12) best = i;
    }
    return best;
  }
}
