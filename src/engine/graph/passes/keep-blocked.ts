import { attr, type Model, makeNode, type Node, opsetOf, withGraph } from '../../onnx/model';
import { inferTypes } from '../infer';
import { type Pass, useCounts } from './pass';

/** Width of the smallest block of onnxruntime's convolution kernels. */
export const BLOCK = 8;

/**
 * Lets onnxruntime keep its blocked channel layout across shortcuts without weights (option A of He et al. 2016: every other pixel, then
 * zero channels). Its convolutions work on blocks of channels (NCHWc), and swallow the Add and the Relu behind them; Slice and Pad know
 * plain NCHW only, so the Add behind them does too, and from there every block of the network converts there and back. Two poolings with
 * a window of one pixel, which give their input as it is, are known in both layouts:
 * 1. Slice that takes every s-th pixel → MaxPool 1×1 with stride s;
 * 2. Pad of channels → Pad, MaxPool 1×1.
 * Legal where the Slice is read by the Pad alone, the Pad by an Add alone, and the channels before and after are whole blocks. Same
 * values, no weights, no multiply-accumulates. For files that are about to be run: nothing else gains by it.
 */
export const keepBlocked: Pass = (model) => {
  const { graph } = model;
  // Before version 10 Slice, before 11 Pad hold in attributes what is looked up among inputs here.
  if (opsetOf(model) < 11 || !graph.nodes.some((n) => n.opType === 'Pad')) return { model, modified: false };
  const uses = useCounts(graph);
  const users = new Map(graph.nodes.flatMap((n) => n.inputs.map((i): [string, Node] => [i, n])));
  const { types } = inferTypes(model);
  const shape = (name: string): readonly unknown[] => types.get(name)?.shape ?? [];
  const inBlocks = (name: string): boolean => Number(shape(name)[1]) % BLOCK === 0;
  const replaced = new Map<Node, readonly Node[]>();
  for (const slice of graph.nodes) {
    const strides = slice.opType === 'Slice' && slice.domain === '' ? pixelStrides(model, slice, shape) : undefined;
    const [taken] = slice.outputs;
    const pad = users.get(taken);
    if (!strides || uses.get(taken) !== 1 || pad?.opType !== 'Pad' || pad.inputs[0] !== taken) continue;
    const [padded] = pad.outputs;
    if (uses.get(padded) !== 1 || users.get(padded)?.opType !== 'Add' || !padsChannels(model, pad)) continue;
    if (types.get(taken)?.type !== 'float32' || !inBlocks(taken) || !inBlocks(padded)) continue;
    const plain = `${padded}_plain`;
    if (types.has(plain)) continue;
    replaced.set(slice, [makeNode('MaxPool', [slice.inputs[0]], [taken], { kernel_shape: [1, 1], strides }, { name: slice.name })]);
    replaced.set(pad, [
      { ...pad, outputs: [plain] },
      makeNode('MaxPool', [plain], [padded], { kernel_shape: [1, 1] }, { name: `${pad.name || padded}.blocked` }),
    ]);
  }
  if (replaced.size === 0) return { model, modified: false };
  return { model: withGraph(model, { nodes: graph.nodes.flatMap((n) => replaced.get(n) ?? [n]) }), modified: true };
};

/** The strides of a Slice that takes every s-th pixel, from the first to the last, of [N, C, H, W]; undefined where it is another. */
function pixelStrides(model: Model, slice: Node, shape: (name: string) => readonly unknown[]): [number, number] | undefined {
  const [starts, ends, axes, steps] = [1, 2, 3, 4].map((i) => constant(model, slice.inputs[i]));
  const from = shape(slice.inputs[0]);
  if (!starts || !ends || !axes || !steps || from.length !== 4) return undefined;
  const strides: [number, number] = [1, 1];
  for (const [i, axis] of axes.entries()) {
    const spatial = axis < 0 ? axis + 2 : axis - 2;
    const whole = starts[i] === 0 && typeof from[spatial + 2] === 'number' && ends[i] >= Number(from[spatial + 2]);
    if (spatial < 0 || !whole || steps[i] < 1) return undefined;
    strides[spatial] = steps[i];
  }
  return strides;
}

/** Whether a Pad of [N, C, H, W] adds channels of zeros and nothing else. */
function padsChannels(model: Model, pad: Node): boolean {
  const pads = constant(model, pad.inputs[1]);
  const value = pad.inputs[2] ? model.graph.initializers.get(pad.inputs[2])?.floats()[0] : 0;
  const zeros = attr.string(pad, 'mode', 'constant') === 'constant' && value === 0;
  return zeros && !pad.inputs[3] && pads?.length === 8 && pads.every((p, i) => (i % 4 === 1 ? p >= 0 : p === 0));
}

const constant = (model: Model, name: string | undefined): number[] | undefined => {
  const tensor = name ? model.graph.initializers.get(name) : undefined;
  return tensor?.numbers();
};
