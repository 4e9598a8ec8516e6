import { attr, attribute, type Model, type Node, opsetOf } from '../../onnx/model';
import { Tensor } from '../../onnx/tensor';
import { LayerFolds } from './layer-folds';
import type { Pass } from './pass';

/**
 * Folds a batch normalisation at inference into the layer before it: y = γ (W x + b − μ) / √(σ² + ε) + β. Legal cases:
 * 1. the layer is a Conv, or a Gemm with alpha = beta = 1, with constant float32 weight and bias;
 * 2. the normalisation's four parameters are constant float32, and it is not in training form;
 * 3. nothing else reads the layer's output (graph outputs included);
 * 4. for operator sets before 9, `spatial` is 1.
 * Weights that other nodes share are copied, not changed. The folded node keeps its name and takes the output's name.
 */
export const foldBatchNorm: Pass = (model) => {
  const folds = new LayerFolds(model);
  for (const norm of model.graph.nodes) {
    const layer = folds.before(norm.inputs[0]);
    const scale = layer && normScale(model, norm);
    const folded = scale && fold(layer, scale, folds);
    if (folded) folds.fold(layer, folded, norm);
  }
  return folds.result();
};

/** The normalisation as y = factor · x + shift, by channel, computed in float64. */
interface Scale {
  readonly factor: Float64Array;
  readonly shift: Float64Array;
}

/** Cases 2 and 4. */
function normScale(model: Model, node: Node): Scale | undefined {
  if (node.opType !== 'BatchNormalization' || node.domain !== '') return undefined;
  const outputs = node.outputs.filter((o) => o !== '').length;
  if (attr.int(node, 'training_mode', 0) !== 0 || outputs !== 1) return undefined;
  if (opsetOf(model) < 9 && attr.int(node, 'spatial', 1) !== 1) return undefined;
  const tensors = node.inputs.slice(1, 5).map((name) => model.graph.initializers.get(name));
  if (tensors.length !== 4 || tensors.some((t) => t?.type !== 'float32')) return undefined;
  const [gamma, beta, mean, variance] = tensors.map((t) => t!.floats());
  const epsilon = attr.float(node, 'epsilon', 1e-5);
  const factor = Float64Array.from(gamma, (g, i) => g / Math.sqrt(variance[i] + epsilon));
  return { factor, shift: Float64Array.from(beta, (b, i) => b - factor[i] * mean[i]) };
}

/** Cases 1: the layer with scaled weight and bias. */
function fold(layer: Node, { factor, shift }: Scale, folds: LayerFolds): Node | undefined {
  const { initializers, uses } = folds;
  if (layer.domain !== '') return undefined;
  const weight = initializers.get(layer.inputs[1] ?? '');
  if (weight?.type !== 'float32') return undefined;
  const biasName = layer.inputs[2] ?? '';
  const bias = initializers.get(biasName);
  if (biasName !== '' && bias?.type !== 'float32') return undefined;
  const axis = outputAxis(layer, weight);
  const n = factor.length;
  if (axis === undefined || weight.dims[axis] !== n) return undefined;
  const old = bias?.floats();
  if (old && old.length !== n && old.length !== 1) return undefined;
  const inner = weight.dims.slice(axis + 1).reduce((a, d) => a * d, 1);
  const newWeight = Float32Array.from(weight.floats(), (w, i) => w * factor[Math.floor(i / inner) % n]);
  const newBias = Float32Array.from(factor, (f, i) => (old ? f * (old.length === 1 ? old[0] : old[i]) : 0) + shift[i]);
  const store = (name: string, dims: readonly number[], data: Float32Array): string => {
    const shared = (uses.get(name) ?? 0) > 1;
    const target = shared || !initializers.has(name) ? folds.fresh(shared ? `${name}.folded` : name) : name;
    initializers.set(target, Tensor.float32(target, dims, data));
    return target;
  };
  const newWeightName = store(weight.name, weight.dims, newWeight);
  const newBiasName = store(bias ? bias.name : `${weight.name.replace(/\.weight$/, '')}.bias`, [n], newBias);
  const attributes = new Map(layer.attributes);
  if (layer.opType === 'Gemm') attributes.set('beta', attribute('beta', { float: 1 }));
  return { ...layer, inputs: [layer.inputs[0], newWeightName, newBiasName], attributes };
}

function outputAxis(layer: Node, weight: Tensor): number | undefined {
  if (layer.opType === 'Conv') return 0;
  if (layer.opType === 'Gemm' && weight.dims.length === 2) {
    if (attr.float(layer, 'alpha', 1) !== 1 || attr.float(layer, 'beta', 1) !== 1) return undefined;
    return attr.int(layer, 'transB', 0) ? 0 : 1;
  }
  return undefined;
}
