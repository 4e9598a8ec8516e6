/**
 * What the readers of Keras layers share. Sources keep channels last (N, H, W, C); the graph made here keeps them first (N, C, H, W),
 * which is decided at import: weights are put in order once, and no transposes are left in the middle.
 */
import { UserError } from '../errors';
import type { AttributeValue } from '../onnx/model';
import { elementCount } from '../onnx/tensor';
import type { GraphBuilder, OpOptions, Value } from '../ops/builder';
import type { CallKeywords, Json, JsonObject } from './keras-topology';
import { isList } from './keras-topology';
import type { Weight } from './weights';

/** A value on its way through the graph. */
export interface Carried {
  /** Channels first: [1, C, …], or [1, n] for flat ones. */
  readonly value: Value;
  /**
   * For a flat value that was an image before: position i holds what the source has at `order[i]` (the source flattens H, W, C).
   * Absent where both orders are the same.
   */
  readonly order?: Int32Array;
  /** Of sequences: which steps count, [N, T] (see `keras-masks.ts`). */
  readonly mask?: Value;
}

/** Where the source keeps channels: the whole model agrees on it. */
export type Layout = 'last' | 'first';

/** Whose rules hold where they differ: hard sigmoid, bilinear upsampling. */
export type Dialect = 'tfjs' | 'keras2' | 'keras3';

export interface LayerContext {
  readonly b: GraphBuilder;
  /** Name of the layer, for messages. */
  readonly layer: string;
  readonly className: string;
  readonly config: JsonObject;
  readonly inputs: readonly Carried[];
  /** What the call names beside its inputs. */
  readonly keywords: CallKeywords;
  readonly layout: Layout;
  readonly dialect: Dialect;
  /** Adds a node named after the layer and the part of it. */
  op(
    opType: string,
    inputs: ReadonlyArray<Value | undefined>,
    attributes?: Record<string, AttributeValue | undefined>,
    part?: string,
    options?: OpOptions,
  ): Value;
  /** Adds a node of several outputs, the first named after the layer and the part of it. */
  ops(
    opType: string,
    inputs: ReadonlyArray<Value | undefined>,
    attributes: Record<string, AttributeValue | undefined>,
    outputs: number,
    part?: string,
  ): Value[];
  /** A layer inside this one, with weights of its own; `whole` where it does all that this layer does. */
  inner(name: string, className: string, config: JsonObject, whole?: boolean): LayerContext;
  /** A trained weight by its short name, or by an older one. @throws UserError where it is missing or has other dimensions */
  weight(names: string | readonly string[], dims: readonly number[]): Weight;
  /** Puts a weight into the graph. */
  constant(short: string, weight: Weight): Value;
}

export type LayerReader = (context: LayerContext) => Carried;

/** @throws UserError always: this layer, with this setting, is not read */
export function refuse({ layer, className }: Pick<LayerContext, 'layer' | 'className'>, what: string, hint?: string): never {
  throw new UserError(
    `layer '${layer}' (${className}) ${what}`,
    hint ?? 'Export the model to ONNX from its own framework, or replace the layer.',
  );
}

export const carried = (value: Value, order?: Int32Array): Carried => ({ value, order: order && isIdentity(order) ? undefined : order });

/** The only input of a layer. */
export function only(context: LayerContext): Carried {
  if (context.inputs.length !== 1) refuse(context, `has ${context.inputs.length} inputs where one belongs`, DAMAGED);
  return context.inputs[0];
}

export const DAMAGED = 'The file is damaged, or of a version that is not known; save it again.';

export function numberOf(context: LayerContext, field: string, fallback: number): number {
  const value = context.config[field];
  if (value === undefined || value === null) return fallback;
  if (typeof value !== 'number' || !Number.isFinite(value)) refuse(context, `has the ${field} ${JSON.stringify(value)}`, DAMAGED);
  return value;
}

export const textOf = (config: JsonObject, field: string, fallback: string): string => {
  const value = config[field];
  return typeof value === 'string' ? value : fallback;
};

export const flagOf = (config: JsonObject, field: string, fallback: boolean): boolean => {
  const value = config[field];
  return typeof value === 'boolean' ? value : fallback;
};

/** Whole numbers, one for each spatial axis; a single number stands for all. */
export function lengthsOf(context: LayerContext, field: string, rank: number, fallback: readonly number[], least = 1): number[] {
  const given: Json | undefined = context.config[field];
  if (given === undefined || given === null) return [...fallback];
  const list = isList(given) ? given : Array.from({ length: rank }, () => given);
  const numbers = list.map((v) => (typeof v === 'number' && Number.isInteger(v) && v >= least ? v : undefined));
  if (numbers.length !== rank || numbers.includes(undefined))
    refuse(context, `has the ${field} ${JSON.stringify(given)} where ${rank} whole numbers belong`, DAMAGED);
  return numbers as number[];
}

/** Axes of a source value, the batch included, by the graph's axis. */
function sourceAxes(rank: number, layout: Layout): number[] {
  const axes = Array.from({ length: rank }, (_, i) => i);
  return layout === 'first' || rank < 3 ? axes : [0, rank - 1, ...axes.slice(1, -1)];
}

/** The graph's axis of a source axis, which may be negative. */
export function graphAxis(context: LayerContext, axis: number, rank: number): number {
  const positive = axis < 0 ? axis + rank : axis;
  const found = sourceAxes(rank, context.layout).indexOf(positive);
  if (found < 0) refuse(context, `names axis ${axis} of a value of ${rank} axes`, DAMAGED);
  return found;
}

/** A permutation of the graph's axes that does to a value what `perm` does to the source's (both with the batch). */
export function graphPermutation(perm: readonly number[], layout: Layout): number[] {
  const axes = sourceAxes(perm.length, layout);
  return axes.map((source) => axes.indexOf(perm[source]));
}

/** Lengths without the batch, in the source's order of axes, from the graph's. */
export function sourceLengths(graph: readonly number[], layout: Layout): number[] {
  return layout === 'first' || graph.length < 2 ? [...graph] : [...graph.slice(1), graph[0]];
}

/** Lengths without the batch, in the graph's order of axes, from the source's. */
export function graphLengths(source: readonly number[], layout: Layout): number[] {
  return layout === 'first' || source.length < 2 ? [...source] : [source[source.length - 1], ...source.slice(0, -1)];
}

/** Longer rows belong to no layer that fits into memory, and their order alone would take seconds to write down. */
const MAX_FLAT = 2 ** 22;

/** For each flat position in the graph's order the flat position in the source's; `source` holds the lengths without the batch. */
export function flatOrder(source: readonly number[], layout: Layout): Int32Array {
  const size = elementCount(source);
  if (!(size <= MAX_FLAT)) throw new UserError(`a flattened value would have ${size} elements, which is too many`, DAMAGED);
  if (layout === 'first' || source.length < 2) return Int32Array.from({ length: size }, (_, i) => i);
  const channels = source[source.length - 1];
  const places = size / channels;
  return Int32Array.from({ length: size }, (_, i) => (i % places) * channels + Math.floor(i / places));
}

const isIdentity = (order: Int32Array): boolean => order.every((from, to) => from === to);

/** A flat value in the source's order, by a Gather where the orders differ. */
export function inSourceOrder(context: LayerContext, input: Carried, part = 'order'): Value {
  if (!input.order) return input.value;
  const back = new Int32Array(input.order.length);
  for (const [to, from] of input.order.entries()) back[from] = to;
  return context.op('Gather', [input.value, context.b.ints([...back])], { axis: 1 }, part);
}

/** Axes 2 and up: what windows slide over. */
export function spatialLengths(context: LayerContext, value: Value, rank: number): readonly number[] {
  if (value.shape.length !== rank + 2)
    refuse(context, `takes a value of ${rank + 2} axes and is given one of ${value.shape.length}`, DAMAGED);
  return value.shape.slice(2);
}

/** Padding before and after each spatial axis, as Keras' `padding` means it for windows over an input of known lengths. */
export function windowPads(
  context: LayerContext,
  lengths: readonly number[],
  kernel: readonly number[],
  strides: readonly number[],
  dilations: readonly number[],
): { before: number[]; after: number[] } {
  const padding = textOf(context.config, 'padding', 'valid');
  const total = lengths.map((length, i) => {
    const span = dilations[i] * (kernel[i] - 1) + 1;
    if (padding === 'causal') return span - 1;
    return Math.max(0, (Math.ceil(length / strides[i]) - 1) * strides[i] + span - length);
  });
  if (padding === 'valid') return { before: total.map(() => 0), after: total.map(() => 0) };
  if (padding === 'causal') return { before: total, after: total.map(() => 0) };
  if (padding !== 'same') refuse(context, `has the padding '${padding}'`, DAMAGED);
  const before = total.map((t) => Math.floor(t / 2));
  return { before, after: total.map((t, i) => t - before[i]) };
}

/** The attribute that says so; left out where nothing is padded. */
export const padsAttribute = ({ before, after }: { before: readonly number[]; after: readonly number[] }): readonly number[] | undefined =>
  [...before, ...after].some((p) => p !== 0) ? [...before, ...after] : undefined;
