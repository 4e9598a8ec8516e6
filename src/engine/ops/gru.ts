/** GRU (Cho et al. 2014) with the standard's gates in the order z (update), r (reset), h; `linear_before_reset` as in cuDNN, PyTorch and Keras. */
import { attr, type Node } from '../onnx/model';
import type { Value } from './builder';
import { binary, concat, gemm, reshape, slice } from './emit';
import type { Operator } from './operator';
import { recurrentLayout } from './recurrent-layout';
import { type Cell, type CellKind, type CellParts, type CellStep, CollectedProduct, parts, type State, unrolled } from './recurrent-unroll';

const linearBeforeReset = (node: Node): boolean => attr.int(node, 'linear_before_reset', 0) !== 0;

/** z = f(x_z + R_z·h), r = f(x_r + R_r·h), a = g(x_h + R_h·(r∘h)), h′ = (1 − z)∘a + z∘h; x_· holds W·x and the biases. */
function resetBeforeCell({ b, hidden, activations: [f, g], r: weights }: CellParts): Cell {
  const mul = (p: Value, q: Value): Value => binary(b, 'Mul', p, q);
  const add = (p: Value, q: Value): Value => binary(b, 'Add', p, q);
  const gates = slice(b, weights, [0], [0], [2 * hidden]);
  const state = slice(b, weights, [0], [2 * hidden], [hidden]);
  const byGates = new CollectedProduct(b);
  const byState = new CollectedProduct(b);

  function step(x: Value, { h: before }: State): CellStep {
    const [xz, xr, xh] = parts(b, x, 3, 1);
    const opened = b.op('Gemm', [before, gates, concat(b, [xz, xr], 1)], { transB: 1 });
    const [z, r] = parts(b, opened, 2, 1).map((v) => f(b, v));
    const seen = mul(r.value, before);
    const a = g(b, b.op('Gemm', [seen, state, xh], { transB: 1 }));
    // (1 − z)∘a + z∘h as a + z∘(h − a).
    const apart = binary(b, 'Sub', before, a.value);
    return {
      state: { h: add(a.value, mul(z.value, apart)) },
      backward({ h: dh }) {
        const kept = mul(dh, z.value);
        const dxh = a.backward(binary(b, 'Sub', dh, kept));
        const dxz = z.backward(mul(dh, apart));
        const dSeen = gemm(b, dxh, state);
        const dxr = r.backward(mul(dSeen, before));
        const dGates = concat(b, [dxz, dxr], 1);
        byGates.add(dGates, before);
        byState.add(dxh, seen);
        const dBefore = add(add(kept, mul(dSeen, r.value)), gemm(b, dGates, gates));
        return { x: concat(b, [dxz, dxr, dxh], 1), state: { h: dBefore } };
      },
    };
  }
  return { step, weightGradients: () => ({ r: concat(b, [byGates.product(), byState.product()], 0) }) };
}

/** As above, but a = g(x_h + r∘(R_h·h + b_h)): the recurrent bias of h stays inside the reset gate. */
function linearCell({ b, activations: [f, g], r: weights, recurrentBias }: CellParts): Cell {
  const mul = (p: Value, q: Value): Value => binary(b, 'Mul', p, q);
  const add = (p: Value, q: Value): Value => binary(b, 'Add', p, q);
  const recurrent = new CollectedProduct(b);

  function step(x: Value, { h: before }: State): CellStep {
    const [xz, xr, xh] = parts(b, x, 3, 1);
    const rows = b.op('Gemm', recurrentBias ? [before, weights, recurrentBias] : [before, weights], { transB: 1 });
    const [rz, rr, rh] = parts(b, rows, 3, 1);
    const z = f(b, add(xz, rz));
    const r = f(b, add(xr, rr));
    const a = g(b, add(xh, mul(r.value, rh)));
    const apart = binary(b, 'Sub', before, a.value);
    return {
      state: { h: add(a.value, mul(z.value, apart)) },
      backward({ h: dh }) {
        const kept = mul(dh, z.value);
        const dxh = a.backward(binary(b, 'Sub', dh, kept));
        const dxz = z.backward(mul(dh, apart));
        const dxr = r.backward(mul(dxh, rh));
        const dRows = concat(b, [dxz, dxr, mul(dxh, r.value)], 1);
        recurrent.add(dRows, before);
        return { x: concat(b, [dxz, dxr, dxh], 1), state: { h: add(kept, gemm(b, dRows, weights)) } };
      },
    };
  }
  return {
    step,
    weightGradients: () => ({ r: recurrent.product(), recurrentBias: recurrentBias && reshape(b, recurrent.sum(), recurrentBias.shape) }),
  };
}

const kind: CellKind = {
  recurrentBiasApart: linearBeforeReset,
  make: (given) => (linearBeforeReset(given.node) ? linearCell(given) : resetBeforeCell(given)),
};

export const gru: Operator = {
  opTypes: ['GRU'],
  ...recurrentLayout,
  gradient: (context, gradients) => unrolled(context, kind).backward(gradients),
  training: (context) => unrolled(context, kind),
};
