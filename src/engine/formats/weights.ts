/** Trained weights by name, and the few ways their axes are put in another order at import. */
import { UserError } from '../errors';
import { elementCount } from '../onnx/tensor';

/** A weight in its source's axis order, row-major. */
export interface Weight {
  readonly dims: readonly number[];
  readonly data: Float32Array;
}

/** Finds the weights of one layer by their short names ('kernel', 'gamma'); `path` holds the names from the outermost model to the layer. */
export interface WeightSource {
  /**
   * @param order the short names in the order in which the layer makes its weights
   * @throws UserError where two weights answer to one name
   */
  of(path: readonly string[], order: readonly string[]): ReadonlyMap<string, Weight>;
}

/**
 * Weights under names with slashes, as TensorFlow.js ('conv2d/kernel') and Keras 1 and 2 ('conv2d/conv2d/kernel:0') write them. Scopes
 * before the layer's name differ between versions, so a name belongs to the layer it names last; where layers of nested models share a
 * name, the one whose outer names match as well is taken.
 */
export class NamedWeights implements WeightSource {
  private readonly entries: ReadonlyArray<{ scopes: readonly string[]; short: string; weight: Weight; name: string }>;

  constructor(weights: ReadonlyMap<string, Weight>) {
    this.entries = [...weights].map(([name, weight]) => {
      const parts = name.split('/').filter((p) => p !== '');
      return { scopes: parts.slice(0, -1), short: (parts.at(-1) ?? '').replace(/:\d+$/, ''), weight, name };
    });
  }

  of(path: readonly string[]): ReadonlyMap<string, Weight> {
    const layer = path[path.length - 1];
    const named = this.entries.filter((e) => e.scopes.includes(layer));
    const exact = named.filter((e) => e.scopes.at(-1) === layer);
    const candidates = exact.length > 0 ? exact : named;
    // Many names of the path first, then few that are not in it.
    const score = (scopes: readonly string[]): number => {
      const own = path.filter((p) => scopes.includes(p)).length;
      const foreign = scopes.filter((s) => !path.includes(s)).length;
      return own - foreign / (scopes.length + 1);
    };
    const best = candidates.reduce((most, e) => Math.max(most, score(e.scopes)), Number.NEGATIVE_INFINITY);
    const found = new Map<string, Weight>();
    for (const e of candidates) {
      if (score(e.scopes) < best) continue;
      if (found.has(e.short))
        throw new UserError(
          `layer '${path.join('/')}': two weights answer to the name '${e.short}'`,
          'Give the layers names of their own.',
        );
      found.set(e.short, e.weight);
    }
    return found;
  }
}

/** The weight with its axes reordered: axis i of the result is axis `perm[i]` of the weight. */
export function permuted({ dims, data }: Weight, perm: readonly number[]): Weight {
  const strides = dims.map((_, axis) => elementCount(dims.slice(axis + 1)));
  const shape = perm.map((axis) => dims[axis]);
  const steps = perm.map((axis) => strides[axis]);
  const out = new Float32Array(data.length);
  const at = new Array<number>(shape.length).fill(0);
  let from = 0;
  for (let i = 0; i < out.length; i++) {
    out[i] = data[from];
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      from += steps[axis];
      if (++at[axis] < shape[axis]) break;
      from -= steps[axis] * shape[axis];
      at[axis] = 0;
    }
  }
  return { dims: shape, data: out };
}

/** The weight with row i of the result being row `order[i]` of the weight (axis 0); unchanged where there is no order. */
export function rowsInOrder(weight: Weight, order: Int32Array | undefined): Weight {
  if (!order) return weight;
  const size = weight.data.length / weight.dims[0];
  const data = new Float32Array(weight.data.length);
  for (const [to, from] of order.entries()) data.set(weight.data.subarray(from * size, (from + 1) * size), to * size);
  return { dims: weight.dims, data };
}

export const reshapedWeight = (weight: Weight, dims: readonly number[]): Weight => ({ dims, data: weight.data });
