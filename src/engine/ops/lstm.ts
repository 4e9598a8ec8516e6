/** LSTM (Hochreiter & Schmidhuber 1997) with the standard's gates in the order i, o, f, c and optional peepholes in the order i, o, f. */
import type { Value } from './builder';
import { binary, concat, gemm } from './emit';
import type { Operator } from './operator';
import { recurrentLayout } from './recurrent-layout';
import { type Cell, type CellParts, type CellStep, CollectedProduct, parts, type State, unrolled } from './recurrent-unroll';

/**
 * i = f(x_i + R_i·h + P_i∘c), o = f(x_o + R_o·h + P_o∘c′), f = f(x_f + R_f·h + P_f∘c), a = g(x_c + R_c·h), c′ = f∘c + i∘a, h′ = o∘h(c′);
 * x_· holds W·x and the biases.
 */
function lstmCell({ b, activations: [f, g, h], r, peepholes }: CellParts): Cell {
  const mul = (p: Value, q: Value): Value => binary(b, 'Mul', p, q);
  const add = (p: Value, q: Value): Value => binary(b, 'Add', p, q);
  const [pi, po, pf] = peepholes ? parts(b, peepholes, 3, 0) : [];
  const looked = (x: Value, p: Value | undefined, c: Value): Value => (p ? add(x, mul(c, p)) : x);
  const recurrent = new CollectedProduct(b);
  const peeks = peepholes && [0, 1, 2].map(() => new CollectedProduct(b));

  function step(x: Value, { h: before, c }: State): CellStep {
    const cell = c!;
    const rows = b.op('Gemm', [before, r, x], { transB: 1 }, { types: [x] });
    const [xi, xo, xf, xc] = parts(b, rows, 4, 1);
    const input = f(b, looked(xi, pi, cell));
    const forget = f(b, looked(xf, pf, cell));
    const candidate = g(b, xc);
    const next = add(mul(forget.value, cell), mul(input.value, candidate.value));
    const output = f(b, looked(xo, po, next));
    const shown = h(b, next);
    return {
      state: { h: mul(output.value, shown.value), c: next },
      backward({ h: dh, c: dc }) {
        const dxo = output.backward(mul(dh, shown.value));
        let dNext = add(dc!, shown.backward(mul(dh, output.value)));
        if (po) dNext = add(dNext, mul(dxo, po));
        const dxi = input.backward(mul(dNext, candidate.value));
        const dxf = forget.backward(mul(dNext, cell));
        const dxc = candidate.backward(mul(dNext, input.value));
        let dCell = mul(dNext, forget.value);
        if (pi && pf) dCell = add(dCell, add(mul(dxi, pi), mul(dxf, pf)));
        const dx = concat(b, [dxi, dxo, dxf, dxc], 1);
        recurrent.add(dx, before);
        peeks?.[0].add(dxi, cell);
        peeks?.[1].add(dxo, next);
        peeks?.[2].add(dxf, cell);
        return { x: dx, state: { h: gemm(b, dx, r), c: dCell } };
      },
    };
  }
  return {
    step,
    weightGradients: () => ({
      r: recurrent.product(),
      peepholes:
        peeks &&
        concat(
          b,
          peeks.map((p) => p.elementwise()),
          0,
        ),
    }),
  };
}

const kind = { make: lstmCell };

export const lstm: Operator = {
  opTypes: ['LSTM'],
  ...recurrentLayout,
  gradient: (context, gradients) => unrolled(context, kind).backward(gradients),
  training: (context) => unrolled(context, kind),
};
