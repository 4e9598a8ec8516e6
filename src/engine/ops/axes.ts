/** Axes and other whole numbers that a node gives as an attribute in older operator sets and as a constant input in newer ones. */
import { UserError } from '../errors';
import { attr, type Dim, type Shape } from '../onnx/model';
import type { GradientContext, InferContext } from './operator';

/** The axis counted from the front. @throws UserError where it is outside −rank … rank−1 */
export function normalizeAxis(axis: number, rank: number): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank)
    throw new UserError(
      `axis ${axis} is outside a value of ${rank} axes`,
      'The file is damaged, or an earlier node is not what it says; export it again.',
    );
  return axis < 0 ? axis + rank : axis;
}

export const normalizeAxes = (axes: readonly number[], rank: number): number[] => axes.map((a) => normalizeAxis(a, rank));

/** Whole numbers as a node gives them: `absent`, or an input whose value is `unknown`, or the numbers. */
export type GivenInts = readonly number[] | 'absent' | 'unknown';

/** More numbers than any axes, shape, pads or split sizes hold. */
const LONGEST_LIST = 65536;

/** Numbers of a constant input. */
export function inputNumbers(context: Pick<InferContext, 'inputs'>, input: number): GivenInts {
  const given = context.inputs[input];
  if (!given) return 'absent';
  // Nobody gives so long a list of axes, shapes or pads; reading it as one could exhaust memory.
  return given.value && given.value.size <= LONGEST_LIST ? given.value.numbers() : 'unknown';
}

/** Whole numbers that are the attribute `name` before operator set `since` and the input at position `input` from then on. */
export function givenInts(context: Pick<InferContext, 'node' | 'opset' | 'inputs'>, name: string, input: number, since: number): GivenInts {
  return context.opset >= since ? inputNumbers(context, input) : (attr.ints(context.node, name) ?? 'absent');
}

/** The gradient context as an inference context: its inputs with the constants that the graph under construction holds. */
export const withConstants = ({ node, opset, b, inputs }: Pick<GradientContext, 'node' | 'opset' | 'b' | 'inputs'>): InferContext => ({
  node,
  opset,
  inputs: inputs.map((v) => v && { type: v.type, shape: v.shape, value: b.constantOf(v) }),
});

/** Product of lengths: a number, the one symbol where all else is 1, or '' where it has no name. */
export function productOf(dims: Shape): Dim {
  let product = 1;
  let symbol: string | undefined;
  for (const d of dims) {
    if (typeof d === 'number') product *= d;
    else if (symbol === undefined) symbol = d;
    else return '';
  }
  if (symbol === undefined) return product;
  return product === 1 ? symbol : '';
}

export const isStatic = (shape: Shape | undefined): shape is readonly number[] => shape?.every((d) => typeof d === 'number') ?? false;

/** A shape of `rank` lengths that are not known. */
export const unknownShape = (rank: number): Shape => Array.from({ length: rank }, () => '');
