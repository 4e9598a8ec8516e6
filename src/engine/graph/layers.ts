/** The layers that have weights worth pruning or quantising: convolutions, linear and recurrent layers with constant weights. */
import { attr, type Model, type Node } from '../onnx/model';
import { elementCount, isFloat } from '../onnx/tensor';
import type { CostContext } from '../ops/operator';
import { isRecurrent } from '../ops/recurrent-layout';
import { findOperator } from '../ops/registry';
import { type Inferred, inferTypes } from './infer';
import { layerNames } from './layer-names';
import { recurrentWeights } from './recurrent-weights';

export interface Layer {
  /** Unique in the model (see `layerNames`); policies use it as the key. */
  readonly name: string;
  readonly node: Node;
  readonly kind: 'convolution' | 'depthwise' | 'linear' | 'recurrent';
  /** The value that meets the weight; of a recurrent weight the states, as the node puts them out. */
  readonly input: string;
  /** Names of the initializers. */
  readonly weight: string;
  readonly bias?: string;
  /** Output channels n and input channels c; c counts all groups' channels. */
  readonly outChannels: number;
  readonly inChannels: number;
  /** Kernel height and width, 1 for linear layers and for the missing axis of one-dimensional convolutions. */
  readonly kernel: readonly [number, number];
  /** Along the height, 1 for linear layers. */
  readonly stride: number;
  readonly groups: number;
  /** Axis of the weight along which output channels lie: the axis of per-channel scales. */
  readonly outAxis: number;
  /** Axis of the weight that is summed over. */
  readonly inAxis: number;
  /** Multiply-accumulates for one sample. */
  readonly macs: number;
  /** Weights and biases. */
  readonly params: number;
}

/**
 * Layers whose weights can be quantised: every convolution and linear layer with a constant float weight, in graph order. A recurrent node
 * is two layers, as its weights are two (`recurrent-weights.ts`).
 */
export function quantizableLayers(model: Model, inferred: Inferred = inferTypes(model, { batch: 1 })): Layer[] {
  const names = layerNames(model);
  const samples = samplesOf(model);
  const layers: Layer[] = [];
  for (const node of model.graph.nodes) {
    const weight = model.graph.initializers.get(node.inputs[1] ?? '');
    if (node.domain !== '' || !weight || !isFloat(weight.type) || weight.dims.length < 2) continue;
    if (isRecurrent(node)) {
      layers.push(...recurrentLayers(model, node, names.get(node)!, nodeMacs(model, node, inferred) / samples));
      continue;
    }
    const bias = model.graph.initializers.get(node.inputs[2] ?? '');
    const base = {
      name: names.get(node)!,
      node,
      input: node.inputs[0],
      weight: weight.name,
      bias: bias?.name,
      macs: nodeMacs(model, node, inferred) / samples,
      params: weight.size + (bias?.size ?? 0),
    };
    const { dims } = weight;
    if (node.opType === 'Conv' || node.opType === 'ConvTranspose') {
      const groups = attr.int(node, 'group', 1);
      const transposed = node.opType === 'ConvTranspose';
      const outChannels = transposed ? dims[1] * groups : dims[0];
      const inChannels = transposed ? dims[0] : dims[1] * groups;
      const [kh, kw] = dims.length > 3 ? [dims[2], dims[3]] : [dims[2] ?? 1, 1];
      layers.push({
        ...base,
        kind: groups > 1 && groups === inChannels ? 'depthwise' : 'convolution',
        outChannels,
        inChannels,
        kernel: [kh, kw],
        stride: attr.ints(node, 'strides')?.[0] ?? 1,
        groups,
        outAxis: transposed ? 1 : 0,
        inAxis: transposed ? 0 : 1,
      });
    } else if (node.opType === 'Gemm' || node.opType === 'MatMul') {
      const turned = node.opType === 'Gemm' && attr.int(node, 'transB', 0) !== 0;
      const outAxis = turned ? 0 : dims.length - 1;
      const inAxis = turned ? 1 : dims.length - 2;
      layers.push({
        ...base,
        kind: 'linear',
        outChannels: dims[outAxis],
        inChannels: dims[inAxis],
        kernel: [1, 1],
        stride: 1,
        groups: 1,
        outAxis,
        inAxis,
      });
    }
  }
  return layers;
}

/** The layers of a recurrent node: every step passes each of its weights once. Biases and peepholes count with the first. */
function recurrentLayers(model: Model, node: Node, name: string, macs: number): Layer[] {
  const weights = recurrentWeights(model, node, name);
  const total = weights.reduce((sum, w) => sum + w.tensor.size, 0);
  return weights.map(({ tensor, gateAxis, summedAxis, others, ...rest }) => ({
    ...rest,
    node,
    kind: 'recurrent',
    weight: tensor.name,
    outChannels: tensor.dims[gateAxis],
    inChannels: tensor.dims[summedAxis],
    kernel: [1, 1],
    stride: 1,
    groups: 1,
    outAxis: gateAxis,
    inAxis: summedAxis,
    macs: (macs * tensor.size) / total,
    params: tensor.size + others.reduce((sum, t) => sum + t.size, 0),
  }));
}

/** Layers that mix channels, so that pruning them is a decision of its own: all but depthwise convolutions. */
export const prunableLayers = (model: Model, inferred?: Inferred): Layer[] =>
  quantizableLayers(model, inferred).filter((l) => l.kind !== 'depthwise');

/** How many samples one run of the model takes: its fixed batch, 1 where it is symbolic. */
export function samplesOf(model: Model): number {
  const batches = model.graph.inputs.map((i) => i.shape?.[0]).filter((d): d is number => typeof d === 'number' && d > 0);
  const same = batches.length === model.graph.inputs.length && batches.every((d) => d === batches[0]);
  const out = model.graph.outputs.every((o) => (o.shape?.[0] ?? batches[0]) === batches[0]);
  return same && out && batches.length ? batches[0] : 1;
}

/** Multiply-accumulates of one execution of a node with the given types; 0 where nothing worth counting is known of it. */
export function nodeMacs(model: Model, node: Node, inferred: Inferred): number {
  const operator = findOperator(node.opType, node.domain);
  if (!operator?.cost) return 0;
  const typeOf = (name: string) => inferred.types.get(name) ?? { type: 'float32' as const };
  const context: CostContext = {
    node,
    opset: model.opsets.get('') ?? 1,
    inputs: node.inputs.map((name) => (name === '' ? undefined : typeOf(name))),
    outputs: node.outputs.map(typeOf),
  };
  return operator.cost(context);
}

/** Elements of a shape; symbolic lengths count as 1. */
export const knownElements = (shape: readonly (number | string)[] | undefined): number =>
  elementCount((shape ?? []).map((d) => (typeof d === 'number' ? d : 1)));
