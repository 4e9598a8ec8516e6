/** Layers of several inputs. */
import type { Value } from '../ops/builder';
import { type Carried, carried, graphAxis, inSourceOrder, type LayerContext, type LayerReader, numberOf, refuse } from './keras-context';

const sameOrder = (a: Int32Array | undefined, b: Int32Array | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && a.length === b.length && a.every((v, i) => v === b[i]));

/** Inputs brought to one number of axes and one order, as the source's broadcasting has it. */
function aligned(c: LayerContext): { values: Value[]; order?: Int32Array } {
  if (c.inputs.length < 2) refuse(c, `has ${c.inputs.length} inputs where several belong`);
  const rank = Math.max(...c.inputs.map((i) => i.value.shape.length));
  const flat = c.inputs.filter((i) => i.value.shape.length === 2 && i.value.shape[1] > 1);
  const { order } = flat[0] ?? {};
  const agree = rank === 2 && flat.every((i) => sameOrder(i.order, order));
  const values = c.inputs.map((input, i) => {
    const { shape } = input.value;
    if (rank === 2) return agree ? input.value : inSourceOrder(c, input, `order${i}`);
    if (shape.length === rank) return input.value;
    // Keras puts the missing axes behind the batch: a flat value then lies along the channels.
    if (shape.length !== 2 || c.layout === 'first') refuse(c, `merges values of ${shape.length} and ${rank} axes`);
    const lengths = [shape[1], ...Array.from({ length: rank - 2 }, () => 1)];
    return c.op('Reshape', [inSourceOrder(c, input, `order${i}`), c.b.ints([-1, ...lengths])], {}, `axes${i}`);
  });
  return { values, order: agree ? order : undefined };
}

const merge =
  (opType: string, most?: number): LayerReader =>
  (c) => {
    const { values, order } = aligned(c);
    if (most !== undefined && values.length > most) refuse(c, `has ${values.length} inputs where ${most} belong`);
    return carried(chain(c, opType, values, ''), order);
  };

/** One value from several, two at a time; the last node bears the layer's name. */
const chain = (c: LayerContext, opType: string, values: readonly Value[], part: string): Value =>
  values.slice(1).reduce((sum, v, i) => {
    const last = i === values.length - 2;
    const shape = sum.shape.map((d, axis) => Math.max(d, v.shape[axis]));
    return c.op(opType, [sum, v], {}, last ? part : `part${i + 1}`, { types: [{ type: sum.type, shape }] });
  }, values[0]);

const average: LayerReader = (c) => {
  const { values, order } = aligned(c);
  return carried(c.op('Mul', [chain(c, 'Add', values, 'sum'), c.b.scalar(1 / values.length)]), order);
};

/** Flat inputs keep the orders they have, one behind the other. */
function joinedOrder(inputs: readonly Carried[]): Int32Array | undefined {
  if (inputs.every((i) => !i.order)) return undefined;
  const joined: number[] = [];
  for (const { value, order } of inputs) {
    const start = joined.length;
    for (let i = 0; i < value.shape[1]; i++) joined.push(start + (order ? order[i] : i));
  }
  return Int32Array.from(joined);
}

const concatenate: LayerReader = (c) => {
  const rank = c.inputs[0]?.value.shape.length ?? 0;
  if (c.inputs.some((i) => i.value.shape.length !== rank)) refuse(c, 'joins values with different numbers of axes');
  const axis = graphAxis(c, numberOf(c, 'axis', -1), rank);
  if (axis === 0) refuse(c, 'joins along the batch');
  const values = c.inputs.map((i) => i.value);
  return carried(c.op('Concat', values, { axis }), rank === 2 ? joinedOrder(c.inputs) : undefined);
};

export const mergeLayers: Readonly<Record<string, LayerReader>> = {
  Add: merge('Add'),
  Subtract: merge('Sub', 2),
  Multiply: merge('Mul'),
  Maximum: merge('Max'),
  Minimum: merge('Min'),
  Average: average,
  Concatenate: concatenate,
};
