/**
 * Which layers can be rebuilt by least squares, what their outputs are matched to, and writing the solution back.
 *
 * A layer whose input lost channels (or carries errors of earlier layers) is solved anew so that it computes what the *original*
 * model has at the layer's target. The target is the last point to which the layer's output goes on linearly:
 *
 *   layer ─ BatchNormalization ─ Add ─▶ target          shortcut: the Add's other operand
 *
 * Matching the sum before its activation, minus the pruned model's own shortcut, makes the layer repair what the shortcut brings
 * with it, so errors do not accumulate over residual blocks.
 */

import { notBatchFirst } from '../graph/batch-first';
import { inferTypes } from '../graph/infer';
import { layerNames } from '../graph/layer-names';
import { attr, type Model, type Node, readsOf } from '../onnx/model';
import { Tensor } from '../onnx/tensor';
import { geometryOf, type MomentEngine, type Moments, type PatchGeometry, type SampleMatrix } from './gram';
import { RidgeSystem } from './least-squares';

export interface ReconstructionLayer {
  readonly name: string;
  /** Index of the layer's node in the graph, the same in the original and the pruned model. */
  readonly index: number;
  readonly input: string;
  readonly weight: string;
  /** Axes of the weight: output channels and input channels (kernel axes follow the input axis). */
  readonly outAxis: number;
  readonly inAxis: number;
  readonly outputs: number;
  readonly geometry: PatchGeometry;
  /** The value of the original model that is matched. */
  readonly target: string;
  /** Between the layer and the target. */
  readonly normalization?: Normalization;
  readonly shortcut?: string;
  /** The tensor that takes the constant term of the solution (the layer's own bias, else the normalisation's); absent: none is fitted. */
  readonly bias?: string;
  /** A bias of the layer that cannot be changed because others use it too. */
  readonly fixedBias?: string;
  /** True where nothing but ReLUs read the target, so that all its values below 0 are alike. */
  readonly rectified: boolean;
}

interface Normalization {
  readonly scale: string;
  readonly bias: string;
  readonly mean: string;
  readonly variance: string;
  readonly epsilon: number;
}

/** Layers that can be rebuilt, in the order of the graph, and why others cannot, by layer name. */
export interface ReconstructionPlan {
  readonly layers: readonly ReconstructionLayer[];
  readonly skipped: ReadonlyMap<string, string>;
}

const LINEAR = new Set(['Conv', 'Gemm', 'MatMul', 'ConvTranspose']);

export function planReconstruction(model: Model): ReconstructionPlan {
  const { nodes, initializers, outputs } = model.graph;
  const { types } = inferTypes(model, { batch: 1 });
  const names = layerNames(model);
  const otherwise = notBatchFirst(model);
  const readers = new Map<string, number[]>();
  const producer = new Map<string, number>();
  /** Linear layers on the longest way to a value. */
  const depth = new Map<string, number>();
  nodes.forEach((node, index) => {
    let d = 0;
    for (const name of new Set(readsOf(node))) {
      const list = readers.get(name);
      if (list) list.push(index);
      else readers.set(name, [index]);
      d = Math.max(d, depth.get(name) ?? 0);
    }
    for (const o of node.outputs) {
      producer.set(o, index);
      depth.set(o, d + (LINEAR.has(node.opType) ? 1 : 0));
    }
  });
  const isOutput = new Set(outputs.map((o) => o.name));
  const own = (name: string): boolean => initializers.has(name) && readers.get(name)?.length === 1 && !isOutput.has(name);
  const dims = (name: string): readonly (number | string)[] | undefined => types.get(name)?.shape;
  const sameShape = (a: string, b: string): boolean => {
    const x = dims(a);
    const y = dims(b);
    return x !== undefined && y !== undefined && x.length === y.length && x.every((d, i) => d === y[i]);
  };

  const layers: ReconstructionLayer[] = [];
  const skipped = new Map<string, string>();
  nodes.forEach((node, index) => {
    if (!LINEAR.has(node.opType) || node.domain !== '') return;
    const name = names.get(node)!;
    const layer = describe(node, index, name);
    if (typeof layer === 'string') skipped.set(name, layer);
    else layers.push(layer);
  });
  return { layers, skipped };

  function describe(node: Node, index: number, name: string): ReconstructionLayer | string {
    const weight = node.inputs[1];
    const tensor = initializers.get(weight);
    if (!tensor) return 'its weight is not a constant';
    if (tensor.type !== 'float32') return `its weight is ${tensor.type}`;
    if (!own(weight)) return `its weight '${weight}' is used elsewhere too`;
    const inputDims = dims(node.inputs[0]);
    if (!inputDims || inputDims.some((d, i) => i > 0 && typeof d !== 'number')) return 'the shape of its input is not known';
    if (otherwise.has(node.inputs[0])) return 'the samples do not lie along the first axis of its input';
    const geometry = geometryOf(node, tensor.dims, inputDims.map(Number));
    if (typeof geometry === 'string') return geometry;
    const transposed = node.opType === 'Gemm' && attr.int(node, 'transB', 0) !== 0;
    const outAxis = geometry.kind === 'conv' || transposed ? 0 : 1;
    const inAxis = 1 - outAxis;
    const outputCount = tensor.dims[outAxis];
    const vector = (n: string): boolean => own(n) && initializers.get(n)!.type === 'float32' && initializers.get(n)!.size === outputCount;
    const given = node.inputs[2] || undefined;
    if (given && initializers.get(given)?.size !== outputCount) return 'its bias is not one constant for each output';
    let bias = given && vector(given) ? given : undefined;
    const fixedBias = given && !bias ? given : undefined;
    let value = node.outputs[0];
    let normalization: Normalization | undefined;
    let shortcut: string | undefined;
    // Follow the value while exactly one node reads it and that node is linear in it.
    while (!shortcut && !isOutput.has(value)) {
      const next = readers.get(value);
      if (next?.length !== 1) break;
      const reader = nodes[next[0]];
      if (reader.domain !== '') break;
      if (reader.opType === 'BatchNormalization' && !normalization && geometry.kind === 'conv' && reader.inputs[0] === value) {
        const [, scale, offset, mean, variance] = reader.inputs;
        if (![scale, offset, mean, variance].every((n) => initializers.get(n)?.size === outputCount)) break;
        normalization = { scale, bias: offset, mean, variance, epsilon: attr.float(reader, 'epsilon', 1e-5) };
        if (!bias && vector(offset)) bias = offset;
      } else if (reader.opType === 'Add') {
        const other = reader.inputs[0] === value ? reader.inputs[1] : reader.inputs[0];
        if (other === value) break;
        if (initializers.has(other)) {
          // The bias of a MatMul, written as an Add of its own.
          if (bias || normalization || geometry.kind !== 'linear' || !vector(other) || initializers.get(other)!.dims.at(-1) !== outputCount)
            break;
          bias = other;
        } else {
          // Of two branches the deeper one takes the sum: it is solved last, and sees what the other one brings.
          const mine = depth.get(value) ?? 0;
          const theirs = depth.get(other) ?? 0;
          const later = mine > theirs || (mine === theirs && (producer.get(value) ?? 0) > (producer.get(other) ?? 0));
          if (!later || !sameShape(other, value) || !sameShape(reader.outputs[0], value)) break;
          shortcut = other;
        }
      } else break;
      value = reader.outputs[0];
    }
    const after = readers.get(value) ?? [];
    return {
      name,
      index,
      input: node.inputs[0],
      weight,
      outAxis,
      inAxis,
      outputs: outputCount,
      geometry,
      target: value,
      normalization,
      shortcut,
      bias,
      fixedBias,
      rectified: !isOutput.has(value) && after.length > 0 && after.every((i) => nodes[i].opType === 'Relu' && nodes[i].domain === ''),
    };
  }
}

/** How the layer's product of weights and input reaches the target: target = factor·product + offset (+ the fitted constant), by output. */
export interface OutputMap {
  readonly factor: Float64Array;
  /** Constants on the way as they are now, the layer's own bias left out where it is fitted. */
  readonly offset: Float64Array;
}

/** @param tensors full-size tensors by name @param outputs kept outputs of the layer */
export function outputMap(layer: ReconstructionLayer, tensors: ReadonlyMap<string, Tensor>, outputs: readonly number[]): OutputMap {
  const factor = new Float64Array(outputs.length).fill(1);
  const offset = new Float64Array(outputs.length);
  const { normalization: norm } = layer;
  if (norm) {
    const [scale, bias, mean, variance] = [norm.scale, norm.bias, norm.mean, norm.variance].map((n) => tensors.get(n)!.floats());
    outputs.forEach((o, j) => {
      factor[j] = scale[o] / Math.sqrt(variance[o] + norm.epsilon);
      offset[j] = bias[o] - mean[o] * factor[j];
    });
  }
  if (layer.fixedBias) {
    const fixed = tensors.get(layer.fixedBias)!.floats();
    outputs.forEach((o, j) => {
      offset[j] += fixed[o] * factor[j];
    });
  }
  return { factor, offset };
}

export interface Solution {
  /** Weights as seen at the target, columns.length × outputs. */
  readonly weights: Float64Array;
  /** Constant term at the target, by output. */
  readonly constant: Float64Array;
  /** Squared error of plain least squares over the sample, as a fraction of the target's variance. */
  readonly error: number;
}

/** What a layer is solved from. */
export interface LayerSample {
  readonly matrix: SampleMatrix;
  readonly moments: Moments;
  /** Where the target goes through a ReLU only: the target before the shortcut was taken off, and the shortcut; rows × outputs. */
  readonly rectified?: { readonly target: Float32Array; readonly shortcut?: Float32Array };
}

export interface LayerSolving {
  /** ε as a share of the mean diagonal. */
  readonly ridge: number;
  /** The weights that the ridge keeps the solution near to, columns.length × outputs. */
  readonly prior: Float64Array;
  /** Rounds of the fit that ignores what a ReLU cuts off. */
  readonly rounds: number;
}

/**
 * Least squares over some columns of the sample, ‖Y − XW‖² + ε‖W − W₀‖²; then, where only max(target, 0) is used, `rounds` times more with
 * the target of negative entries replaced by whatever non-positive value the last solution gave there, which lets the weights serve the
 * entries that count (Zhang et al. 2015, "Accelerating Very Deep Convolutional Networks", section 3.2, with its penalty taken to the limit).
 */
export async function solveLayer(
  engine: MomentEngine,
  sample: LayerSample,
  columns: ArrayLike<number>,
  { ridge, prior, rounds }: LayerSolving,
): Promise<Solution> {
  const { matrix, moments, rectified } = sample;
  const system = new RidgeSystem(moments.gram, moments.columns, columns, ridge);
  const solved = (m: Moments): Solution => toSolution(m, columns, system.solve(m.cross, m.outputs, prior), prior, system.epsilon);
  const first = solved(moments);
  let solution = first;
  for (let round = 0; rectified && round < rounds; round++) {
    const predicted = await engine.predict(matrix, columns, solution.weights, solution.constant);
    const { target, shortcut } = rectified;
    for (let i = 0; i < predicted.length; i++) {
      const other = shortcut ? shortcut[i] : 0;
      predicted[i] = (target[i] > 0 ? target[i] : Math.min(0, predicted[i] + other)) - other;
    }
    solution = solved(await engine.otherOutputs(matrix, moments, predicted));
  }
  return { ...solution, error: first.error };
}

/** Constant terms and error that belong to weights W of (G + εI)·W = B + εW₀. */
function toSolution(m: Moments, columns: ArrayLike<number>, weights: Float64Array, prior: Float64Array, epsilon: number): Solution {
  const n = m.outputs;
  const constant = m.centred ? m.meanY.slice() : new Float64Array(n);
  let energy = 0;
  for (let j = 0; j < n; j++) energy += m.energy[j];
  // ‖Y − XW‖² = ‖Y‖² − ⟨W, B⟩ − ⟨W, B − GW⟩, and B − GW = ε(W − W₀).
  let explained = 0;
  for (let i = 0; i < columns.length; i++) {
    const c = columns[i];
    for (let j = 0; j < n; j++) {
      const w = weights[i * n + j];
      if (m.centred) constant[j] -= w * m.meanX[c];
      explained += w * (m.cross[c * n + j] + epsilon * (w - prior[i * n + j]));
    }
  }
  return { weights, constant, error: energy > 0 ? Math.max(0, 1 - explained / energy) : 0 };
}

/** The layer's present weights as seen at the target, (inputs × kernel) × outputs: what a solution is kept near to. */
export function presentWeights(
  layer: ReconstructionLayer,
  tensors: ReadonlyMap<string, Tensor>,
  map: OutputMap,
  inputs: readonly number[],
  outputs: readonly number[],
): Float64Array {
  const weight = tensors.get(layer.weight)!;
  const { dims } = weight;
  const data = weight.floats();
  const kernel = dims.slice(2).reduce((a, b) => a * b, 1);
  const strideOut = layer.outAxis === 0 ? dims[layer.inAxis] * kernel : 1;
  const strideIn = layer.outAxis === 0 ? kernel : dims[layer.outAxis];
  const n = outputs.length;
  const weights = new Float64Array(inputs.length * kernel * n);
  inputs.forEach((c, i) => {
    for (let k = 0; k < kernel; k++)
      for (let j = 0; j < n; j++) weights[(i * kernel + k) * n + j] = data[outputs[j] * strideOut + c * strideIn + k] * map.factor[j];
  });
  return weights;
}

/**
 * Full-size tensors with the solution written in: kept outputs get the new weights on kept inputs and zero on others.
 * An output that the normalisation multiplies by (nearly) nothing keeps its weights; only its constant term moves.
 * @param inputs kept input channels of the layer (positions along its input axis), in the order of the sample's columns
 */
export function writeSolution(
  layer: ReconstructionLayer,
  tensors: ReadonlyMap<string, Tensor>,
  solution: Solution,
  map: OutputMap,
  inputs: readonly number[],
  outputs: readonly number[],
): Tensor[] {
  const old = tensors.get(layer.weight)!;
  const { dims } = old;
  const data = old.floats().slice();
  const kernel = dims.slice(2).reduce((a, b) => a * b, 1);
  const channels = dims[layer.inAxis];
  const strideOut = layer.outAxis === 0 ? channels * kernel : 1;
  const strideIn = layer.outAxis === 0 ? kernel : dims[layer.outAxis];
  const n = outputs.length;
  const largest = map.factor.reduce((a, b) => Math.max(a, Math.abs(b)), 0);
  outputs.forEach((o, j) => {
    if (Math.abs(map.factor[j]) <= 1e-6 * largest) return;
    for (let c = 0; c < channels; c++) for (let k = 0; k < kernel; k++) data[o * strideOut + c * strideIn + k] = 0;
    inputs.forEach((c, i) => {
      for (let k = 0; k < kernel; k++) {
        data[o * strideOut + c * strideIn + k] = solution.weights[(i * kernel + k) * n + j] / map.factor[j];
      }
    });
  });
  const written = [Tensor.float32(layer.weight, dims, data)];
  if (layer.bias !== undefined) {
    const bias = tensors.get(layer.bias)!;
    const values = bias.floats().slice();
    const takes = layer.bias === layer.normalization?.bias;
    outputs.forEach((o, j) => {
      if (takes) values[o] += solution.constant[j] - map.offset[j];
      else if (Math.abs(map.factor[j]) > 1e-6 * largest) values[o] = (solution.constant[j] - map.offset[j]) / map.factor[j];
    });
    written.push(Tensor.float32(layer.bias, bias.dims, values));
  }
  return written;
}
