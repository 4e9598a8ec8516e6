import { attr, attribute, type Node } from '../../onnx/model';
import type { Tensor } from '../../onnx/tensor';
import { inferTypes } from '../infer';
import { LayerFolds } from './layer-folds';
import type { Pass } from './pass';

/**
 * Takes a constant that is added behind a linear layer into the layer as its bias, as CNTK, TensorFlow and old exporters leave apart:
 * 1. Conv or ConvTranspose without a bias, then Add of a float32 constant with one value for each channel ([C, 1, 1] or [1, C, 1, 1]);
 * 2. Gemm without a bias and beta = 1, then Add of one value for each column ([n] or [1, n]);
 * 3. MatMul of a matrix of rows by a constant matrix, then Add of one value for each column: both become a Gemm.
 * Nothing else may read the layer's output. The node keeps the layer's name and takes the addition's output.
 */
export const fuseBias: Pass = (model) => {
  const folds = new LayerFolds(model);
  const { initializers } = folds;
  const types = model.graph.nodes.some((n) => n.opType === 'MatMul') ? inferTypes(model).types : undefined;
  for (const add of model.graph.nodes) {
    if (add.opType !== 'Add' || add.domain !== '' || add.inputs.length !== 2) continue;
    const side = initializers.get(add.inputs[1]) ? 0 : 1;
    const layer = folds.before(add.inputs[side]);
    const bias = initializers.get(add.inputs[1 - side]);
    if (!layer || !bias || layer.domain !== '') continue;
    const fused = withBias(layer, bias, initializers, (name) => types?.get(name)?.shape?.length);
    if (!fused) continue;
    const name = bias.dims.length === 1 ? bias.name : folds.fresh(`${bias.name}_flat`);
    initializers.set(name, bias.reshaped([bias.size]).renamed(name));
    folds.fold(layer, { ...fused, inputs: [...fused.inputs.slice(0, 2), name] }, add);
  }
  return folds.result();
};

/** The layer as it is with a bias, or undefined where the constant is none for it. */
function withBias(
  layer: Node,
  bias: Tensor,
  initializers: ReadonlyMap<string, Tensor>,
  rankOf: (value: string) => number | undefined,
): Node | undefined {
  if (bias.type !== 'float32' || (layer.inputs[2] ?? '') !== '') return undefined;
  const weight = initializers.get(layer.inputs[1] ?? '');
  if (weight?.type !== 'float32') return undefined;
  const { dims } = bias;
  switch (layer.opType) {
    case 'Conv':
    case 'ConvTranspose': {
      const channels = layer.opType === 'Conv' ? weight.dims[0] : weight.dims[1] * attr.int(layer, 'group', 1);
      const rank = weight.dims.length;
      const axis = dims.length - (rank - 1);
      const perChannel = bias.size === channels && dims.length >= rank - 1 && dims.length <= rank && dims[axis] === channels;
      return perChannel ? layer : undefined;
    }
    case 'Gemm': {
      const columns = weight.dims[attr.int(layer, 'transB', 0) ? 0 : 1];
      return attr.float(layer, 'beta', 1) === 1 && isRow(bias, columns) ? layer : undefined;
    }
    case 'MatMul':
      if (weight.dims.length !== 2 || !isRow(bias, weight.dims[1]) || rankOf(layer.inputs[0]) !== 2) return undefined;
      return { ...layer, opType: 'Gemm', attributes: GEMM };
    default:
      return undefined;
  }
}

const GEMM = new Map([['transB', attribute('transB', 0)]]);

const isRow = ({ dims, size }: Tensor, columns: number): boolean => size === columns && dims.at(-1) === columns && dims.length <= 2;
