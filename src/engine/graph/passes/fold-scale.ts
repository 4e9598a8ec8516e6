import { attr, attribute, type Node } from '../../onnx/model';
import { elementCount, Tensor } from '../../onnx/tensor';
import { LayerFolds } from './layer-folds';
import type { Pass } from './pass';

/**
 * Folds a constant that a linear layer's result is multiplied or divided by into the layer, as a batch normalisation that was written out
 * as Mul and Add leaves it (the Add is then a bias, see `fuseBias`). Legal cases:
 * 1. the layer is a Conv, a Gemm with alpha = beta = 1, or a MatMul by a constant matrix, with constant float32 weight and bias;
 * 2. the constant is float32 with one value for all or one for each channel, and none is 0 where it divides;
 * 3. nothing else reads the layer's result, or its weight and bias.
 */
export const foldScale: Pass = (model) => {
  const folds = new LayerFolds(model);
  const { initializers, uses } = folds;
  for (const scale of model.graph.nodes) {
    const divides = scale.opType === 'Div';
    if ((scale.opType !== 'Mul' && !divides) || scale.domain !== '' || scale.inputs.length !== 2) continue;
    const side = divides || initializers.has(scale.inputs[1]) ? 0 : 1;
    const layer = folds.before(scale.inputs[side]);
    const constant = initializers.get(scale.inputs[1 - side]);
    if (!layer || constant?.type !== 'float32') continue;
    const channels = channelsOf(layer, initializers.get(layer.inputs[1] ?? ''), initializers.get(layer.inputs[2] ?? ''));
    if (!channels || [layer.inputs[1], layer.inputs[2]].some((i) => i && uses.get(i) !== 1)) continue;
    const factors = factorsOf(constant, channels, divides);
    if (!factors) continue;
    const weight = initializers.get(layer.inputs[1])!;
    const inner = elementCount(weight.dims.slice(channels.axis + 1));
    const store = (tensor: Tensor, data: Float32Array): string => {
      const name = folds.fresh(`${tensor.name}_scaled`);
      initializers.set(name, Tensor.float32(name, tensor.dims, data));
      return name;
    };
    const inputs = [
      layer.inputs[0],
      store(
        weight,
        Float32Array.from(weight.floats(), (w, i) => w * factors[Math.floor(i / inner) % channels.count]),
      ),
    ];
    const bias = initializers.get(layer.inputs[2] ?? '');
    if (bias)
      inputs.push(
        store(
          bias,
          Float32Array.from(bias.floats(), (v, i) => v * factors[bias.size === 1 ? 0 : i]),
        ),
      );
    const attributes = new Map(layer.attributes);
    if (layer.opType === 'Gemm') attributes.set('beta', attribute('beta', { float: 1 }));
    folds.fold(layer, { ...layer, inputs, attributes }, scale);
  }
  return folds.result();
};

interface Channels {
  readonly count: number;
  /** Axis of the weight. */
  readonly axis: number;
  /** Axes of the result behind the channels. */
  readonly behind: number;
}

/** Cases 1 and 3. */
function channelsOf(layer: Node, weight: Tensor | undefined, bias: Tensor | undefined): Channels | undefined {
  if (layer.domain !== '' || weight?.type !== 'float32' || ((layer.inputs[2] ?? '') !== '' && bias?.type !== 'float32')) return undefined;
  const rank = weight.dims.length;
  const fits = (c: Channels): Channels | undefined => (!bias || bias.size === c.count ? c : undefined);
  if (layer.opType === 'Conv') return fits({ count: weight.dims[0], axis: 0, behind: rank - 2 });
  if (layer.opType === 'MatMul' && rank === 2) return { count: weight.dims[1], axis: 1, behind: 0 };
  if (layer.opType !== 'Gemm' || rank !== 2 || attr.float(layer, 'alpha', 1) !== 1 || attr.float(layer, 'beta', 1) !== 1) return undefined;
  const axis = attr.int(layer, 'transB', 0) ? 0 : 1;
  return fits({ count: weight.dims[axis], axis, behind: 0 });
}

/** Case 2: a factor for each channel. */
function factorsOf(constant: Tensor, { count, behind }: Channels, divides: boolean): Float64Array | undefined {
  const { dims, size } = constant;
  const place = dims.length - 1 - behind;
  // A constant of more axes than the result would enlarge it.
  const perChannel = size === count && dims[place] === count && dims.length <= behind + 2;
  if (!perChannel && !(size === 1 && dims.length <= behind + 2)) return undefined;
  const values = constant.floats();
  if (divides && values.includes(0)) return undefined;
  return Float64Array.from({ length: count }, (_, i) => (divides ? 1 / values[size === 1 ? 0 : i] : values[size === 1 ? 0 : i]));
}
