/**
 * What Espalier knows of an ONNX operator. Each operator family is one file with `infer`, `cost`, `gradient` and `channels`,
 * and one line in `registry.ts`. An operator that is not registered is carried through untouched: its output shapes are unknown
 * unless the file states them, it has no gradient, and channels that pass through it are not pruned, with the reason shown.
 */
import type { Node, Shape } from '../onnx/model';
import type { DataType, Tensor } from '../onnx/tensor';
import type { GraphBuilder, Value } from './builder';

/** What is known of a value before it is computed. */
export interface ValueType {
  readonly type: DataType;
  /** undefined: not even the rank is known. Single lengths may be symbolic (a string). */
  readonly shape?: Shape;
  /** The value itself, where it is a constant (an initializer, or computed from shapes). */
  readonly value?: Tensor;
}

export interface InferContext {
  readonly node: Node;
  /** Version of the standard operator set. */
  readonly opset: number;
  /** One for each input; undefined where an optional input is left out. */
  readonly inputs: ReadonlyArray<ValueType | undefined>;
}

export interface CostContext extends InferContext {
  readonly outputs: readonly ValueType[];
}

export interface GradientContext {
  readonly node: Node;
  readonly opset: number;
  /** Emits nodes of the training graph; shapes in it are static (the batch is fixed). */
  readonly b: GraphBuilder;
  readonly inputs: ReadonlyArray<Value | undefined>;
  readonly outputs: readonly Value[];
  /** True where a gradient for this input is needed; the others may be returned as undefined. */
  wants(input: number): boolean;
}

/** Gradients of the loss by output, undefined where the output does not reach the loss. */
export type OutputGradients = ReadonlyArray<Value | undefined>;
/** Gradients of the loss by input, in the order of the node's inputs; each has its input's shape. */
export type InputGradients = ReadonlyArray<Value | undefined>;

export interface TrainingContext extends Omit<GradientContext, 'outputs'> {
  /** Batch statistics that the trainer folds into running ones: `running` is the initializer's name, `batch` has its shape. */
  statistic(running: string, batch: Value, momentum: number): void;
  /** A random tensor of independent draws, the same for the same seed; redrawn every step. Ranges: uniform [0,1), normal N(0,1). */
  random(kind: 'uniform' | 'normal', shape: readonly number[]): Value;
}

/** An operator that behaves differently in training (BatchNormalization, Dropout) gives its own forward and backward. */
export interface TrainingForm {
  readonly outputs: readonly Value[];
  backward(gradients: OutputGradients): InputGradients;
}

/**
 * The channels along one axis of one value, as atom numbers: two positions with the same atom (after coupling) lose their channel
 * together. null: an axis that carries no channels (batch, height, width).
 */
export type AxisAtoms = Int32Array | null;

/** What an axis of a weight does to the channels on it. */
export type WeightRole = 'producer' | 'consumer' | 'parameter';

export interface ChannelContext {
  readonly node: Node;
  readonly opset: number;
  readonly inputs: ReadonlyArray<ValueType | undefined>;
  readonly outputs: readonly ValueType[];
  /** Atoms along an axis of an input. An initializer's axes get fresh atoms when first asked for; `axis` may be negative. */
  atoms(input: number, axis: number): AxisAtoms;
  /** Declares the atoms along an axis of an output; axes not declared carry no channels. */
  setOutput(output: number, axis: number, atoms: AxisAtoms): void;
  /** From now on a[i] and b[i] are lost together. @throws where the lengths differ */
  couple(a: Int32Array, b: Int32Array): void;
  /** New atoms of channels that this node makes itself (the zeros of a Pad). */
  fresh(count: number): Int32Array;
  /** These channels cannot be pruned; `reason` is a sentence a person can act on, and names the node. */
  freeze(atoms: AxisAtoms, reason: string): void;
  /** Marks what an axis of a weight input is to the channels on it. */
  role(input: number, axis: number, role: WeightRole): void;
}

export interface ShrinkContext {
  readonly node: Node;
  readonly opset: number;
  readonly inputs: ReadonlyArray<ValueType | undefined>;
  readonly outputs: readonly ValueType[];
  /** Positions that stay along an axis, or undefined where all do. */
  keptInput(input: number, axis: number): readonly number[] | undefined;
  keptOutput(output: number, axis: number): readonly number[] | undefined;
  /** Replaces a constant integer input of this node (a shape, pads, split sizes). */
  setInts(input: number, values: readonly number[]): void;
  /** Replaces an attribute of this node. */
  setAttribute(name: string, value: number | readonly number[]): void;
}

export interface Operator {
  /** Operator names, all of one family; `domain` '' is the standard one. */
  readonly opTypes: readonly string[];
  readonly domain?: string;
  /** Types (and constant values) of the outputs. @throws UserError where the inputs cannot belong to such a node */
  infer(context: InferContext): ValueType[];
  /** Multiply-accumulates of one execution; symbolic lengths count as 1. Absent: none worth counting. */
  cost?(context: CostContext): number;
  /** Emits the backward pass. Absent: no gradient passes this operator. */
  gradient?(context: GradientContext, gradients: OutputGradients): InputGradients;
  /** Why no gradient passes where that lies in what the operator does: "chooses positions, which change in steps". */
  readonly noGradient?: string;
  /** Present where training differs from inference; then `gradient` is not used in training graphs. */
  training?(context: TrainingContext): TrainingForm;
  /** How channels pass. Absent: the channels on its inputs are frozen. */
  channels?(context: ChannelContext): void;
  /** Why channels that reach it always stay, whatever its attributes: "reads them at computed places". `channels` freezes them for it. */
  readonly keepsChannels?: string;
  /** Adjusts attributes and constant integer inputs after channels were removed; weights are sliced by the pruner. */
  shrink?(context: ShrinkContext): void;
}
