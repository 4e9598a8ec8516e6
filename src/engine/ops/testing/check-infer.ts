/** Test support: inferred types and shapes against those of the tensors that onnxruntime really computes. */
import type { Shape } from '../../onnx/model';
import type { ValueType } from '../operator';
import { type NodeCase, placeInputs, tensorFeeds, withSession } from './single-node';

export interface InferCase extends NodeCase {
  /** Names to give to lengths, by input name: `{ X: { 0: 'batch' } }`. Inference is then tried with those lengths unknown as well. */
  readonly symbolic?: Readonly<Record<string, Readonly<Record<number, string>>>>;
  /** The shapes that inference must give with the symbolic lengths, one for each output. */
  readonly expected?: readonly Shape[];
}

/**
 * Runs the node and compares. With `symbolic`, inference is repeated with those lengths unknown: what it still gives as numbers must be
 * right, and where `expected` is given it must give exactly that.
 * @returns the inferred types with all lengths known
 * @throws Error naming the output that differs
 */
export async function checkInfer(test: InferCase): Promise<ValueType[]> {
  const { b, operator, node, inputs, feeds, constants } = placeInputs(test);
  const known = inputs.map((v): ValueType | undefined => v && { type: v.type, shape: v.shape, value: constants.get(v.name) });
  const inferred = operator.infer({ node, opset: b.opset, inputs: known });
  for (const v of b.adopt(
    node,
    node.outputs.map((_, i) => inferred[i]),
  ))
    b.output(v);
  const real = await withSession(b.build(), async (session) => {
    const run = await session.run(tensorFeeds(feeds));
    return node.outputs.map((name) => ({ type: run[name].type as string, dims: run[name].dims }));
  });
  real.forEach((r, i) => {
    const { type, shape } = inferred[i];
    if (type !== r.type) throw new Error(`${test.opType}: output ${i} is inferred as ${type} and is ${r.type}`);
    if (!shape || shape.length !== r.dims.length || shape.some((d, axis) => d !== r.dims[axis]))
      throw new Error(`${test.opType}: output ${i} is inferred as [${shape}] and is [${r.dims}]`);
  });
  if (test.symbolic) checkSymbolic(test, known, real);
  return inferred;

  function checkSymbolic(
    { symbolic, expected }: InferCase,
    types: ReadonlyArray<ValueType | undefined>,
    actual: ReadonlyArray<{ dims: readonly number[] }>,
  ): void {
    const open = types.map((t, i) => {
      const names = symbolic?.[test.inputs[i]?.name ?? ''];
      return t && names ? { type: t.type, shape: t.shape?.map((d, axis) => names[axis] ?? d) } : t;
    });
    const shapes = operator.infer({ node, opset: b.opset, inputs: open }).map((t) => t.shape);
    actual.forEach(({ dims }, i) => {
      const shape = shapes[i];
      if (shape && (shape.length !== dims.length || shape.some((d, axis) => typeof d === 'number' && d !== dims[axis])))
        throw new Error(`${test.opType}: with symbolic lengths, output ${i} is inferred as [${shape}] and is [${dims}]`);
      const wanted = expected?.[i];
      if (wanted && JSON.stringify(shape) !== JSON.stringify(wanted))
        throw new Error(`${test.opType}: with symbolic lengths, output ${i} is inferred as [${shape}] where [${wanted}] belongs`);
    });
  }
}
