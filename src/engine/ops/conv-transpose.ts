/**
 * Transposed convolution: each input element spreads its channels over a window of the output (Zeiler et al. 2010). It is the gradient
 * of a convolution by its input, so its own gradients are a convolution and the weight gradient of one.
 * Inputs: X [N, C, …], W [C, M/group, kernel…], B [M].
 */
import { UserError } from '../errors';
import { attr, type Dim, type Node, type Shape } from '../onnx/model';
import { elementCount } from '../onnx/tensor';
import type { Value } from './builder';
import { nodeLabel } from './channel-axes';
import { weightGradient } from './conv';
import { range, reduceSum } from './emit';
import type { ChannelContext, CostContext, GradientContext, InferContext, Operator, ShrinkContext, ValueType } from './operator';
import { reach, type WindowAttributes, windowAttributes } from './window';

/** Zeros that are cut off before and after each spatial axis of the output, and its lengths. */
interface Spread extends WindowAttributes {
  readonly pads: { readonly before: readonly number[]; readonly after: readonly number[] };
  readonly output: readonly number[];
}

interface SpreadAttributes {
  readonly window: WindowAttributes;
  readonly outputPadding: readonly number[];
  /** Output lengths, where the node states them. */
  readonly stated?: readonly number[];
}

function spreadAttributes(node: Node, kernel: readonly number[]): SpreadAttributes {
  const window = windowAttributes(node, kernel.length, kernel);
  const list = (name: string): readonly number[] | undefined => {
    const values = attr.ints(node, name);
    if (!values || values.length === 0) return undefined;
    // Some exporters state the whole shape, batch and channels included.
    const spatial = values.length === kernel.length + 2 ? values.slice(2) : values;
    if (spatial.length !== kernel.length || spatial.some((v) => v < 0))
      throw new UserError(`the attribute ${name} is [${values.join(', ')}] where ${kernel.length} numbers belong`);
    return spatial;
  };
  return { window, outputPadding: list('output_padding') ?? kernel.map(() => 0), stated: list('output_shape') };
}

/** Length along one axis before anything is cut off. */
const fullLength = ({ window, outputPadding }: SpreadAttributes, axis: number, length: number): number =>
  window.strides[axis] * (length - 1) + outputPadding[axis] + reach(window)[axis];

function outputLength(a: SpreadAttributes, axis: number, length: Dim): Dim {
  if (a.stated) return a.stated[axis];
  if (typeof length === 'string') return '';
  const pads = a.window.pads;
  // SAME: as long as the strides alone make it.
  if (!pads) return length * a.window.strides[axis];
  const result = fullLength(a, axis, length) - pads.before[axis] - pads.after[axis];
  if (result < 0) throw new UserError(`its padding cuts off more than the length of ${fullLength(a, axis, length)}`);
  return result;
}

/** The node over an input of known lengths; what is cut off follows from stated lengths where there are any. */
function spreadOf(node: Node, kernel: readonly number[], spatial: readonly number[]): Spread {
  const a = spreadAttributes(node, kernel);
  const output = spatial.map((length, axis) => outputLength(a, axis, length) as number);
  if (a.window.pads && !a.stated) return { ...a.window, pads: a.window.pads, output };
  const total = spatial.map((length, axis) => fullLength(a, axis, length) - output[axis]);
  const smaller = total.map((t) => Math.floor(t / 2));
  const larger = total.map((t, axis) => t - smaller[axis]);
  const upper = a.window.autoPad === 'SAME_UPPER';
  return { ...a.window, pads: upper ? { before: smaller, after: larger } : { before: larger, after: smaller }, output };
}

function infer({ node, inputs }: InferContext): ValueType[] {
  const [x, w, bias] = inputs;
  const type = x?.type ?? 'float32';
  if (!x?.shape || !w?.shape) return [{ type }];
  const rank = x.shape.length;
  if (rank < 3) throw new UserError(`its input has the shape [${x.shape.join(', ')}], which has no spatial axes`);
  if (w.shape.length !== rank) throw new UserError(`its weight '${node.inputs[1]}' has ${w.shape.length} axes where ${rank} belong`);
  const group = attr.int(node, 'group', 1);
  const [inner, perGroup] = w.shape;
  if (typeof inner === 'number' && typeof x.shape[1] === 'number' && inner !== x.shape[1])
    throw new UserError(`its input has ${x.shape[1]} channels, but its weight '${node.inputs[1]}' is for ${inner}`);
  if (group < 1 || (typeof inner === 'number' && inner % group !== 0)) throw new UserError(`cuts ${inner} channels into ${group} groups`);
  const outputs = typeof perGroup === 'number' ? perGroup * group : '';
  const biasShape = bias?.shape;
  if (
    biasShape &&
    typeof outputs === 'number' &&
    (biasShape.length !== 1 || (typeof biasShape[0] === 'number' && biasShape[0] !== outputs))
  )
    throw new UserError(`its bias '${node.inputs[2]}' has the shape [${biasShape.join(', ')}] where [${outputs}] belongs`);
  const kernel = w.shape.slice(2);
  if (kernel.some((k) => typeof k === 'string')) return [{ type, shape: [x.shape[0], outputs, ...kernel.map(() => '')] }];
  const a = spreadAttributes(node, kernel as number[]);
  return [{ type, shape: [x.shape[0], outputs, ...x.shape.slice(2).map((d, axis) => outputLength(a, axis, d))] }];
}

/** Every input element meets every weight of its channel. */
function cost({ inputs }: CostContext): number {
  const known = (shape: Shape): number => elementCount(shape.map((d) => (typeof d === 'number' ? d : 1)));
  const [x, w] = [inputs[0]?.shape, inputs[1]?.shape];
  return x && w ? known(x) * known(w.slice(1)) : 0;
}

function gradient({ node, b, inputs, wants }: GradientContext, [dy]: ReadonlyArray<Value | undefined>): Array<Value | undefined> {
  const [x, w, bias] = inputs;
  if (!x || !w || !dy) return [];
  const spatial = x.shape.slice(2);
  const spread = spreadOf(node, w.shape.slice(2), spatial);
  const group = attr.int(node, 'group', 1);
  if ([...spread.pads.before, ...spread.pads.after].some((p) => p < 0))
    throw new UserError(
      `${nodeLabel({ node })} is asked for more output than its windows reach, through which no gradient is known`,
      'Freeze the layers before it, or run without fine-tuning.',
    );
  return [
    wants(0) ? inputGradient() : undefined,
    wants(1)
      ? weightGradient(
          b,
          {
            // The convolution that leads from this node's output back to its input.
            window: { ...spread, ceil: false, input: spread.output, output: spatial },
            group,
            batch: x.shape[0],
            channels: dy.shape[1],
            filters: x.shape[1],
          },
          dy,
          w.shape,
          x,
        )
      : undefined,
    bias && wants(2) ? reduceSum(b, dy, [0, ...range(2, dy.shape.length)]) : undefined,
  ];

  function inputGradient(): Value {
    const { strides, dilations, kernel, pads } = spread;
    return b.op(
      'Conv',
      [dy!, w!],
      { kernel_shape: kernel, group, strides, dilations, pads: [...pads.before, ...pads.after] },
      { types: [x!] },
    );
  }
}

function channels(context: ChannelContext): void {
  const { node, inputs } = context;
  const input = context.atoms(0, 1);
  const label = nodeLabel(context);
  if (!inputs[1]?.value || (inputs[2] && !inputs[2].value)) {
    context.freeze(input, `${label} computes its weight or bias in the graph, so its channels cannot be removed`);
    context.freeze(context.atoms(1, 1), `${label} computes its weight in the graph, so its channels cannot be removed`);
    return;
  }
  const taken = context.atoms(1, 0);
  const made = context.atoms(1, 1);
  if (!taken || !made) return;
  const group = attr.int(node, 'group', 1);
  const perGroup = taken.length / group;
  context.setOutput(0, 0, context.atoms(0, 0));
  const noInput = `the input of ${label} has no channels that can be removed`;
  if (group > 1 && perGroup === 1) {
    // Depthwise: each input channel makes outputs of its own, and takes them with it.
    context.role(1, 0, 'parameter');
    context.role(1, 1, 'parameter');
    context.freeze(made, `${label} makes ${made.length} channels from each of its own, which only leave together`);
    if (input) context.couple(input, taken);
    else context.freeze(taken, noInput);
    finish(Int32Array.from({ length: group * made.length }, (_, i) => taken[Math.floor(i / made.length)]));
    return;
  }
  context.role(1, 0, 'consumer');
  context.role(1, 1, 'producer');
  if (input) context.couple(input, taken);
  else context.freeze(taken, noInput);
  // Each group must lose the same places, or the groups would differ in width; the weight has one axis for all groups' outputs.
  for (let i = 1; i < group; i++) context.couple(taken.slice(i * perGroup, (i + 1) * perGroup), taken.slice(0, perGroup));
  finish(Int32Array.from({ length: group * made.length }, (_, i) => made[i % made.length]));

  function finish(output: Int32Array): void {
    const bias = inputs[2] ? context.atoms(2, 0) : null;
    if (bias) {
      context.role(2, 0, 'parameter');
      context.couple(output, bias);
    }
    context.setOutput(0, 1, output);
  }
}

function shrink(context: ShrinkContext): void {
  const { node, inputs, outputs } = context;
  const group = attr.int(node, 'group', 1);
  const channelsIn = inputs[1]?.shape?.[0];
  const keptIn = context.keptInput(0, 1);
  if (group > 1 && channelsIn === group && keptIn) context.setAttribute('group', keptIn.length);
  // Some exporters state the whole output shape.
  const stated = attr.ints(node, 'output_shape');
  const rank = outputs[0].shape?.length ?? 0;
  const keptOut = context.keptOutput(0, 1);
  if (stated && stated.length === rank && keptOut) context.setAttribute('output_shape', [stated[0], keptOut.length, ...stated.slice(2)]);
}

export const convTranspose: Operator = { opTypes: ['ConvTranspose'], infer, cost, gradient, channels, shrink };
