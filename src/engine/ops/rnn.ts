/** RNN (Elman 1990): h′ = f(x + R·h), where x holds W·x and the biases. */
import type { Value } from './builder';
import { gemm } from './emit';
import type { Operator } from './operator';
import { recurrentLayout } from './recurrent-layout';
import { type Cell, type CellParts, type CellStep, CollectedProduct, type State, unrolled } from './recurrent-unroll';

function rnnCell({ b, activations: [f], r }: CellParts): Cell {
  const recurrent = new CollectedProduct(b);
  return {
    step(x: Value, { h: before }: State): CellStep {
      const next = f(b, b.op('Gemm', [before, r, x], { transB: 1 }));
      return {
        state: { h: next.value },
        backward({ h: dh }) {
          const dx = next.backward(dh);
          recurrent.add(dx, before);
          return { x: dx, state: { h: gemm(b, dx, r) } };
        },
      };
    },
    weightGradients: () => ({ r: recurrent.product() }),
  };
}

const kind = { make: rnnCell };

export const rnn: Operator = {
  opTypes: ['RNN'],
  ...recurrentLayout,
  gradient: (context, gradients) => unrolled(context, kind).backward(gradients),
  training: (context) => unrolled(context, kind),
};
