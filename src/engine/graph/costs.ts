/** What a model costs: multiply-accumulates and parameters, whole and by layer, and what it would cost after pruning. */
import type { ModelCost } from '../../protocol/policy';
import { attr, type Model, type Node, type Shape } from '../onnx/model';
import { bitsPerElement, isFloat, type Tensor } from '../onnx/tensor';
import { summedAxes as summedEinsumAxes } from '../ops/einsum';
import { isRecurrent } from '../ops/recurrent-layout';
import type { ChannelGroup, ValueMember, WeightMember } from './channel-group';
import { type Inferred, inferTypes } from './infer';
import { layerNames } from './layer-names';
import { nodeMacs, samplesOf } from './layers';
import { recurrentWeights } from './recurrent-weights';

/** Costs of one node; only nodes with parameters or multiply-accumulates are listed. */
export interface LayerCost {
  readonly name: string;
  readonly node: Node;
  readonly macs: number;
  /** `macs` scaled by the fraction of the layer's weights that are not zero. */
  readonly effectiveMacs: number;
  /** Parameters first used by this node: a weight that several nodes share is counted once. */
  readonly params: number;
  readonly effectiveParams: number;
  /** Parameters at their bit-widths, with scales, in bytes. */
  readonly weightBytes: number;
}

export interface ModelCosts extends ModelCost {
  readonly layers: readonly LayerCost[];
}

/** Inputs that are settings or statistics rather than parameters, by operator; 'all' for every one. */
const NOT_PARAMETERS: Readonly<Record<string, readonly number[] | 'all'>> = {
  BatchNormalization: [3, 4],
  Clip: 'all',
  Pad: [2],
  Resize: 'all',
  Upsample: 'all',
  Dropout: 'all',
  Range: 'all',
  OneHot: 'all',
  QuantizeLinear: [1, 2],
  DequantizeLinear: [1, 2],
};

/**
 * Costs for one sample.
 * Parameters are the float initializers that nodes use (and integer codes that a DequantizeLinear reads); the running statistics
 * of batch normalisation and bounds of Clip are not counted, as frameworks do not count them.
 * @param inferred types with a batch of 1 (`inferTypes(model, { batch: 1 })`); a fixed batch in the file is divided out
 * @param bits weight bits by layer name; a layer that is absent counts at the width of its type. Quantised layers
 *   count `bits` for each weight and a 4-byte scale for each output channel; their biases stay as they are
 */
export function countCosts(
  model: Model,
  inferred: Inferred = inferTypes(model, { batch: 1 }),
  bits: Readonly<Record<string, number>> = {},
): ModelCosts {
  const seen = new Set<string>();
  const layers: LayerCost[] = [];
  for (const { node, name, macs, tensors, weight } of costPieces(model, inferred)) {
    const fresh = tensors.filter((t) => !seen.has(t.name));
    for (const t of fresh) seen.add(t.name);
    if (macs === 0 && fresh.length === 0) continue;
    let params = 0;
    let effectiveParams = 0;
    let weightBytes = 0;
    for (const t of fresh) {
      params += t.size;
      effectiveParams += nonZero(t);
      const width = Object.hasOwn(bits, name) ? bits[name] : undefined;
      const quantized = t === weight && width !== undefined && width < bitsPerElement(t.type);
      weightBytes += quantized
        ? Math.ceil((t.size * width) / 8) + 4 * outputChannels(node, t)
        : Math.ceil((t.size * bitsPerElement(t.type)) / 8);
    }
    if (node.opType === 'DequantizeLinear') weightBytes += scaleBytes(model, node);
    layers.push({
      name,
      node,
      macs,
      effectiveMacs: weight && macs > 0 && weight.size > 0 ? (macs * nonZero(weight)) / weight.size : macs,
      params,
      effectiveParams,
      weightBytes,
    });
  }
  const sum = (pick: (l: LayerCost) => number): number => layers.reduce((a, l) => a + pick(l), 0);
  return {
    macs: sum((l) => l.macs),
    effectiveMacs: sum((l) => l.effectiveMacs),
    params: sum((l) => l.params),
    effectiveParams: sum((l) => l.effectiveParams),
    weightBytes: sum((l) => l.weightBytes),
    layers,
  };
}

interface CostPiece {
  readonly node: Node;
  readonly name: string;
  readonly macs: number;
  /** Its parameters, and that of them which meets the input. */
  readonly tensors: readonly Tensor[];
  readonly weight?: Tensor;
}

/** What counts as one layer: a node, or each of the two weights of a recurrent one with its share of the multiply-accumulates. */
function costPieces(model: Model, inferred: Inferred): CostPiece[] {
  const samples = samplesOf(model);
  const names = layerNames(model);
  return model.graph.nodes.flatMap((node): CostPiece[] => {
    const name = names.get(node)!;
    const macs = nodeMacs(model, node, inferred) / samples;
    const recurrent = recurrentWeights(model, node, name);
    if (recurrent.length > 0) {
      const size = recurrent.reduce((sum, w) => sum + w.tensor.size, 0);
      return recurrent.map(({ name: own, tensor, others }) => ({
        node,
        name: own,
        macs: (macs * tensor.size) / size,
        tensors: [tensor, ...others],
        weight: tensor,
      }));
    }
    const tensors = parameterInputs(model, node);
    return [{ node, name, macs, tensors, weight: tensors.find((t) => t.name === node.inputs[1]) ?? tensors[0] }];
  });
}

/** Structured costs of the model when each group keeps so many channels; a group that is absent keeps all. */
export type CostAfter = (kept: Readonly<Record<string, number>>) => {
  readonly macs: number;
  readonly params: number;
  readonly weightBytes: number;
};

/** Part of an axis that belongs to one group: `share` positions for each of its channels. */
interface AxisPart {
  readonly group: number;
  readonly channels: number;
  readonly share: number;
}

interface Axis {
  readonly length: number;
  readonly parts: readonly AxisPart[];
}

/** A product over axes, times a factor. */
interface Term {
  readonly factor: number;
  readonly axes: readonly Axis[];
}

/**
 * Prepares the costs of any pruned form of a model without building it: each layer is a product of its kept input and output
 * fractions, so one evaluation is a few multiplications a layer. Equal to `countCosts` of the pruned model.
 */
export function costAfter(model: Model, groups: readonly ChannelGroup[], inferred: Inferred = inferTypes(model, { batch: 1 })): CostAfter {
  const parts = new Map<string, AxisPart[]>();
  const lengths = new Map<string, number>();
  groups.forEach((g, group) => {
    const note = (key: string, m: WeightMember | ValueMember): void => {
      const share = m.positions[0].length;
      const list = parts.get(key) ?? [];
      // An axis with two roles is listed twice among a group's weights but cut once.
      if (!list.some((p) => p.group === group)) list.push({ group, channels: g.channels, share });
      parts.set(key, list);
      lengths.set(key, m.length);
    };
    for (const m of g.weights) note(`${m.tensor}:${m.axis}`, m);
    for (const m of g.values) note(`${m.value}:${m.axis}`, m);
  });
  const axesOf = (name: string, rank: number): Axis[] => {
    const axes: Axis[] = [];
    for (let axis = 0; axis < rank; axis++) {
      const key = `${name}:${axis}`;
      const list = parts.get(key);
      if (list) axes.push({ length: lengths.get(key)!, parts: list });
    }
    return axes;
  };
  const samples = samplesOf(model);
  const macTerms: Term[] = [];
  const paramTerms: Term[] = [];
  const byteTerms: Term[] = [];
  const seen = new Set<string>();
  for (const node of model.graph.nodes) {
    const macs = nodeMacs(model, node, inferred) / samples;
    const recurrent = recurrentWeights(model, node, '');
    const recurrentSize = recurrent.reduce((sum, w) => sum + w.tensor.size, 0);
    for (const { tensor } of recurrent)
      macTerms.push({ factor: (macs * tensor.size) / recurrentSize, axes: axesOf(tensor.name, tensor.dims.length) });
    if (macs > 0 && recurrent.length === 0) {
      const out = node.outputs[0];
      // Attention with its projections inside: these follow both axes of their weight, the scores and sums only the heads.
      const projection = node.opType === 'Attention' && node.domain !== '' ? model.graph.initializers.get(node.inputs[1]) : undefined;
      const positions = projection ? Number(inferred.types.get(node.inputs[0])?.shape?.[1] ?? 1) : 0;
      const projected = projection ? positions * projection.size : 0;
      if (projection) macTerms.push({ factor: projected, axes: axesOf(projection.name, 2) });
      macTerms.push({
        factor: macs - projected,
        axes: [...axesOf(out, inferred.types.get(out)?.shape?.length ?? 0), ...summedAxes(model, node, inferred, axesOf)],
      });
    }
    for (const t of parameterInputs(model, node)) {
      if (seen.has(t.name)) continue;
      seen.add(t.name);
      const axes = axesOf(t.name, t.dims.length);
      paramTerms.push({ factor: t.size, axes });
      byteTerms.push({ factor: (t.size * bitsPerElement(t.type)) / 8, axes });
    }
    if (node.opType === 'DequantizeLinear') byteTerms.push({ factor: scaleBytes(model, node), axes: [] });
  }
  const ids = groups.map((g) => g.id);
  const channels = groups.map((g) => g.channels);
  return (kept) => {
    const counts = ids.map((id, i) => (Object.hasOwn(kept, id) ? (kept[id] ?? channels[i]) : channels[i]));
    const evaluate = (terms: readonly Term[]): number => {
      let total = 0;
      for (const { factor, axes } of terms) {
        let value = factor;
        for (const { length, parts: cut } of axes) {
          let left = length;
          for (const p of cut) left -= (p.channels - counts[p.group]) * p.share;
          value *= left / length;
        }
        total += value;
      }
      return total;
    };
    // Parameters are whole numbers; the fractions leave rounding noise.
    return { macs: Math.round(evaluate(macTerms)), params: Math.round(evaluate(paramTerms)), weightBytes: Math.round(evaluate(byteTerms)) };
  };
}

/** The axes a node sums over, beside those of its output. */
function summedAxes(model: Model, node: Node, inferred: Inferred, axesOf: (name: string, rank: number) => Axis[]): Axis[] {
  const pick = (name: string, axis: number): Axis[] => {
    const rank = inferred.types.get(name)?.shape?.length ?? 0;
    const at = axis < 0 ? axis + rank : axis;
    const all = axesOf(name, at + 1);
    const before = axesOf(name, at);
    return all.slice(before.length);
  };
  const [x, w] = node.inputs;
  if (node.opType === 'Conv') return pick(w, 1);
  // The weight's own first axis is the input's channels; every one of them reaches (output channels / groups) results. A depthwise one
  // has no outputs but those of its inputs, which the output's axis counts.
  if (node.opType === 'ConvTranspose') {
    const inputs = model.graph.initializers.get(w)?.dims[0] ?? 0;
    const group = attr.int(node, 'group', 1);
    return group > 1 && group === inputs ? [] : pick(w, 0);
  }
  if (node.opType === 'Einsum') {
    const shapes = node.inputs.map((name) => inferred.types.get(name)?.shape);
    if (shapes.some((shape) => shape === undefined)) return [];
    return summedEinsumAxes(node, shapes as Shape[]).flatMap(({ input, axis }) => pick(node.inputs[input], axis));
  }
  if (node.opType === 'Gemm') return pick(w, attr.int(node, 'transB', 0) ? 1 : 0);
  if (node.opType === 'MatMul') return model.graph.initializers.has(w) ? pick(w, -2) : pick(x, -1);
  return [];
}

/** Types in which weights are stored as codes. */
const CODES: ReadonlySet<string> = new Set(['int8', 'uint8', 'int4', 'uint4']);

/** The scales by which codes are multiplied after their Cast (docs/formats.md) belong to the storage, not to the parameters. */
const isScaleOfCodes = (node: Node, input: number): boolean =>
  node.opType === 'Mul' && input === 1 && node.inputs[0].endsWith('.codes.float');

/** Parameters among a node's inputs: float tensors, and the integer codes a DequantizeLinear reads. */
function parameterInputs(model: Model, node: Node): Tensor[] {
  const excluded = node.domain === '' && Object.hasOwn(NOT_PARAMETERS, node.opType) ? NOT_PARAMETERS[node.opType] : [];
  if (excluded === 'all') return [];
  const found: Tensor[] = [];
  node.inputs.forEach((name, i) => {
    const t = model.graph.initializers.get(name);
    if (!t || excluded.includes(i) || found.includes(t)) return;
    const codes = (node.opType === 'DequantizeLinear' && i === 0) || (node.opType === 'Cast' && CODES.has(t.type));
    if (codes || (isFloat(t.type) && !isScaleOfCodes(node, i))) found.push(t);
  });
  return found;
}

function scaleBytes(model: Model, node: Node): number {
  if (!model.graph.initializers.has(node.inputs[0])) return 0;
  return [node.inputs[1], node.inputs[2]].reduce(
    (bytes, name) => bytes + (model.graph.initializers.get(name ?? '')?.bytes.byteLength ?? 0),
    0,
  );
}

/** Output channels of a layer's weight: one scale each. */
function outputChannels(node: Node, weight: Tensor): number {
  if (node.opType === 'Conv') return weight.dims[0];
  if (node.opType === 'ConvTranspose' || isRecurrent(node)) return weight.dims[1];
  if (node.opType === 'Gemm' && attr.int(node, 'transB', 0)) return weight.dims[0];
  return weight.dims.at(-1) ?? 1;
}

const counted = new WeakMap<Tensor, number>();

/** Elements that are not zero; remembered, as tensors never change. */
function nonZero(t: Tensor): number {
  let n = counted.get(t);
  if (n === undefined) {
    const values = isFloat(t.type) ? t.floats() : t.numbers();
    n = 0;
    for (const v of values) if (v !== 0) n++;
    counted.set(t, n);
  }
  return n;
}
