/** Constants, and values that follow from shapes alone: Constant, ConstantOfShape, Shape, Size, Range. */
import { UserError } from '../errors';
import { attr } from '../onnx/model';
import { elementCount, Tensor } from '../onnx/tensor';
import { inputNumbers, isStatic, unknownShape } from './axes';
import { FOLD_LIMIT, foldable, foldedTensor } from './folding';
import type { Operator, ValueType } from './operator';

const ofTensor = (t: Tensor): ValueType => ({ type: t.type, shape: t.dims, value: t });

const constant: Operator = {
  opTypes: ['Constant'],
  infer({ node }) {
    const has = (name: string): boolean => node.attributes.has(name);
    if (has('value')) return [ofTensor(attr.tensor(node, 'value')!.renamed(''))];
    if (has('value_float')) return [ofTensor(Tensor.scalar('', attr.float(node, 'value_float', 0)))];
    if (has('value_floats')) {
      const values = Float32Array.from(attr.floats(node, 'value_floats') ?? []);
      return [ofTensor(Tensor.float32('', [values.length], values))];
    }
    if (has('value_int')) return [ofTensor(Tensor.int64('', [], [attr.int(node, 'value_int', 0)]))];
    if (has('value_ints')) return [ofTensor(Tensor.ints('', attr.ints(node, 'value_ints') ?? []))];
    if (has('value_string')) return [{ type: 'string', shape: [] }];
    if (has('value_strings')) return [{ type: 'string', shape: [''] }];
    if (has('sparse_value')) return [{ type: 'float32' }];
    throw new UserError('holds no value');
  },
  noGradient: 'has no inputs',
  // A constant carries no channels; what meets it decides what that means.
  channels() {},
};

const constantOfShape: Operator = {
  opTypes: ['ConstantOfShape'],
  infer(context) {
    const fill = attr.tensor(context.node, 'value');
    const type = fill?.type ?? 'float32';
    const shape = inputNumbers(context, 0);
    if (typeof shape === 'string') {
      const rank = context.inputs[0]?.shape?.[0];
      return [{ type, shape: typeof rank === 'number' ? unknownShape(rank) : undefined }];
    }
    if (shape.some((d) => d < 0)) throw new UserError(`is asked for the shape [${shape.join(', ')}]`);
    const size = elementCount(shape);
    const value = size <= FOLD_LIMIT ? foldedTensor(type, shape, new Array<number>(size).fill(fill?.numbers()[0] ?? 0)) : undefined;
    return [{ type, shape, value }];
  },
  noGradient: 'is made from a shape alone',
  channels() {},
};

const shapeOf: Operator = {
  opTypes: ['Shape'],
  infer({ node, inputs }) {
    const shape = inputs[0]?.shape;
    if (!shape) return [{ type: 'int64', shape: [''] }];
    const rank = shape.length;
    const limit = (v: number): number => Math.min(rank, Math.max(0, v < 0 ? v + rank : v));
    const part = shape.slice(limit(attr.int(node, 'start', 0)), limit(attr.int(node, 'end', rank)));
    return [{ type: 'int64', shape: [part.length], value: isStatic(part) ? foldedTensor('int64', [part.length], part) : undefined }];
  },
  noGradient: 'looks only at the shape of its input',
  // The lengths are read anew from the smaller value when the model runs.
  channels() {},
};

const size: Operator = {
  opTypes: ['Size'],
  infer({ inputs }) {
    const shape = inputs[0]?.shape;
    return [{ type: 'int64', shape: [], value: isStatic(shape) ? foldedTensor('int64', [], [elementCount(shape)]) : undefined }];
  },
  noGradient: 'looks only at the shape of its input',
  channels() {},
};

const range: Operator = {
  opTypes: ['Range'],
  infer({ inputs }) {
    const type = inputs[0]?.type ?? 'int64';
    const [start, limit, delta] = inputs.slice(0, 3).map((input) => foldable(input)?.[0]);
    if (start === undefined || limit === undefined || delta === undefined) return [{ type, shape: [''] }];
    if (delta === 0) throw new UserError('has a step of 0');
    const count = Math.max(0, Math.ceil((limit - start) / delta));
    const value =
      count <= FOLD_LIMIT
        ? foldedTensor(
            type,
            [count],
            Array.from({ length: count }, (_, i) => start + i * delta),
          )
        : undefined;
    return [{ type, shape: [count], value }];
  },
  noGradient: 'is made from three numbers alone',
  channels() {},
};

export const constants: readonly Operator[] = [constant, constantOfShape, shapeOf, size, range];
