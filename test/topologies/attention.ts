/** Small networks with attention, in the forms that exporters write it, and perceptrons over the last axis. */
import type { Value } from '../../src/engine/ops/builder';
import { type Network, topology } from './network';

/** [N, positions, width] → [N, heads, positions, width / heads] */
function heads(n: Network, name: string, x: Value, count: number): Value {
  const [, positions, width] = x.shape;
  const apart = n.op('Reshape', `${name}.heads`, [x, n.b.ints([-1, positions, count, width / count])]);
  return n.op('Transpose', `${name}.front`, [apart], { perm: [0, 2, 1, 3] });
}

/** softmax(q · kᵀ / √d) · v → [N, positions, width] */
function attend(n: Network, name: string, q: Value, k: Value, v: Value, mask = (scores: Value): Value => scores): Value {
  const { b } = n;
  const [, count, positions, depth] = q.shape;
  const turned = n.op('Transpose', `${name}.turned`, [k], { perm: [0, 1, 3, 2] });
  const scores = n.op('Mul', `${name}.scale`, [n.op('MatMul', `${name}.scores`, [q, turned]), b.scalar(1 / Math.sqrt(depth))]);
  const mixed = n.op('MatMul', `${name}.mixed`, [n.op('Softmax', `${name}.softmax`, [mask(scores)], { axis: -1 }), v]);
  const back = n.op('Transpose', `${name}.back`, [mixed], { perm: [0, 2, 1, 3] });
  return n.op('Reshape', `${name}.joined`, [back, b.ints([-1, positions, count * v.shape[3]])]);
}

/** The classes from the mean over all positions. */
const classes = (n: Network, x: Value) => n.done(n.gemm('fc', n.op('ReduceMean', 'mean', [x], { axes: [1], keepdims: 0 }), 5));

const ROWS = { input: [2, 6, 16] } as const;
/** Why the width of a residual stream with layer normalisation stays. */
const NORMALISED = (node: string) => `ReduceMean '${node}' reduces them to one value, which removing a channel would change`;

export const attentionTopologies = [
  topology(
    'transformer',
    'embed → x + out(attention(q, k, v of norm(x))) → x + down(gelu(up(norm(x)))) → norm → mean → fc',
    { q: 4, up: 20 },
    (n) => {
      const x = n.linear('embed', n.input(6, 16), 16);
      const normal = n.layerNorm('norm1', x);
      const part = (name: string): Value => heads(n, name, n.linear(name, normal, 16), 4);
      const y = n.op('Add', 'add1', [x, n.linear('out', attend(n, 'attention', part('q'), part('k'), part('v')), 16)]);
      const inner = n.gelu('gelu', n.linear('up', n.layerNorm('norm2', y), 20));
      return classes(n, n.layerNorm('norm3', n.op('Add', 'add2', [y, n.linear('down', inner, 16)])));
    },
    { ...ROWS, frozen: { embed: NORMALISED('norm1.mean') } },
  ),
  topology(
    'vision transformer',
    'patches(conv) → flatten, transpose → + positions → attention with q, k, v in one weight, by Gather → up → relu → down → mean → fc',
    { patches: 12, qkv: 3, up: 10 },
    (n) => {
      const { b } = n;
      const image = n.input(3, 8, 8);
      const w = n.weights('patches.weight', [12, 3, 4, 4], 0.2);
      const patches = b.op('Conv', [image, w], { kernel_shape: [4, 4], strides: [4, 4] }, { name: 'patches' });
      const rows = n.op('Transpose', 'rows', [n.op('Reshape', 'flat', [patches, b.ints([0, 12, -1])])], { perm: [0, 2, 1] });
      const x = n.op('Add', 'positions.add', [rows, n.weights('positions', [1, 4, 12], 0.3)]);
      const all = n.op('Reshape', 'qkv.heads', [n.linear('qkv', x, 36), b.ints([-1, 4, 3, 3, 4])]);
      const front = n.op('Transpose', 'qkv.front', [all], { perm: [2, 0, 3, 1, 4] });
      const part = (at: number): Value =>
        b.op('Squeeze', [b.op('Slice', [front, b.ints([at]), b.ints([at + 1]), b.ints([0])]), b.ints([0])]);
      const y = n.op('Add', 'add1', [x, n.linear('out', attend(n, 'attention', part(0), part(1), part(2)), 12)]);
      return classes(n, n.op('Add', 'add2', [y, n.linear('down', n.relu('relu', n.linear('up', y, 10)), 12)]));
    },
  ),
  topology(
    'attention, one weight split',
    'embed → Split of [q k v] → heads → attention → out → mean → fc',
    { embed: 8, qkv: 4, out: 9 },
    (n) => {
      const x = n.relu('relu', n.linear('embed', n.input(6, 16), 8));
      const parts = n.b.ops('Split', [n.linear('qkv', x, 48), n.b.ints([16, 16, 16])], { axis: 2 }, { outputs: 3, name: 'parts' });
      const [q, k, v] = parts.map((part, i) => heads(n, 'qkv'[i], part, 4));
      return classes(n, n.linear('out', attend(n, 'attention', q, k, v), 9));
    },
    ROWS,
  ),
  topology(
    'attention across',
    'queries from x, keys and values from y = embed(x): widths of keys and values differ; no out projection but the classes',
    { embed: 7, q: 2 },
    (n) => {
      const x = n.input(6, 16);
      const y = n.relu('relu', n.linear('embed', x, 7));
      const mixed = attend(
        n,
        'attention',
        heads(n, 'q', n.linear('q', x, 8), 2),
        heads(n, 'k', n.linear('k', y, 8), 2),
        heads(n, 'v', n.linear('v', y, 6), 2),
      );
      return classes(n, mixed);
    },
    ROWS,
  ),
  topology(
    'mixer',
    'rows → x + (transpose → over positions: up, relu, down → transpose) → x + (over channels: up, relu, down) → mean → fc',
    { embed: 10, 'tokens.up': 7, 'channels.up': 9 },
    (n) => {
      const x = n.linear('embed', n.input(6, 16), 10);
      const turned = n.op('Transpose', 'turned', [x], { perm: [0, 2, 1] });
      const tokens = n.linear('tokens.down', n.relu('relu1', n.linear('tokens.up', turned, 7)), 6);
      const y = n.op('Add', 'add1', [x, n.op('Transpose', 'back', [tokens], { perm: [0, 2, 1] })]);
      return classes(n, n.op('Add', 'add2', [y, n.linear('channels.down', n.relu('relu2', n.linear('channels.up', y, 9)), 10)]));
    },
    { ...ROWS, frozen: { 'tokens.down': "is combined with the model input 'x', whose lengths are given" } },
  ),
  topology(
    'depthwise and linear',
    'stem → [depthwise 7×7 → NHWC → norm → up → gelu → down → · scale → NCHW] + stem → pool → fc',
    { up: 12 },
    (n) => {
      const stem = n.conv('stem', n.input(3, 8, 8), 6);
      const nhwc = n.op('Transpose', 'nhwc', [n.conv('depth', stem, 6, 7, { group: 6 })], { perm: [0, 2, 3, 1] });
      const y = n.linear('down', n.gelu('gelu', n.linear('up', n.layerNorm('norm', nhwc), 12)), 6);
      const scaled = n.op('Mul', 'scale', [y, n.weights('scale.weight', [6], 0.3, 1)]);
      return n.head(n.op('Add', 'add', [stem, n.op('Transpose', 'nchw', [scaled], { perm: [0, 3, 1, 2] })]));
    },
    { frozen: { stem: NORMALISED('norm.mean') } },
  ),
  topology(
    'decoder rows',
    'embed → norm → [rows, width] · qkv → positions again → Split → attention, later positions masked → out → norm → mean → fc, fused forms',
    { qkv: 4, up: 10 },
    (n) => {
      const { b } = n;
      const norm = (name: string, x: Value): Value =>
        n.op('LayerNormalization', name, [x, n.weights(`${name}.weight`, [8], 0.3, 1), n.weights(`${name}.bias`, [8], 0.3)], { axis: -1 });
      const rows = (name: string, x: Value): Value => n.op('Reshape', name, [x, b.ints([-1, x.shape[x.shape.length - 1]])]);
      const positions = (name: string, x: Value): Value => n.op('Reshape', name, [x, b.ints([-1, 6, x.shape[1]])]);
      const x = n.linear('embed', n.input(6, 16), 8);
      const all = positions('qkv.positions', n.gemm('qkv', rows('qkv.rows', norm('norm1', x)), 24, false));
      const parts = b.ops('Split', [all], { axis: -1 }, { outputs: 3, name: 'parts' });
      const [q, k, v] = parts.map((part, i) => heads(n, 'qkv'[i], part, 4));
      const mask = b.floats(
        'mask',
        [1, 1, 6, 6],
        Float32Array.from({ length: 36 }, (_, i) => (i % 6 > Math.floor(i / 6) ? -1e4 : 0)),
      );
      const mixed = attend(n, 'attention', q, k, v, (scores) => n.op('Add', 'attention.masked', [scores, mask]));
      const y = n.op('Add', 'add1', [x, positions('out.positions', n.gemm('out', rows('out.rows', mixed), 8, false))]);
      const inner = n.op('Gelu', 'gelu', [n.linear('up', norm('norm2', y), 10)], {}, 'com.microsoft');
      return classes(n, n.op('Add', 'add2', [y, n.linear('down', inner, 8)]));
    },
    { ...ROWS, frozen: { embed: "LayerNormalization 'norm1' normalises over them: removing one would change all others" } },
  ),
  topology(
    'fused attention',
    'embed → Attention (projections inside) → relu → q, k, v → MultiHeadAttention with bias → out → mean → fc',
    { embed: 8, attention: 4, mid: 7, q: 2, out: 6 },
    (n) => {
      const fused = (opType: string, name: string, inputs: Value[], count: number): Value =>
        n.op(opType, name, inputs, { num_heads: count }, 'com.microsoft');
      const x = n.relu('relu1', n.linear('embed', n.input(6, 16), 8));
      const own = [n.weights('attention.weight', [8, 36], 0.4), n.weights('attention.bias', [36], 0.3)];
      const y = n.relu('relu2', n.linear('mid', fused('Attention', 'attention', [x, ...own], 4), 7));
      const project = (name: string, width: number): Value => n.op('MatMul', name, [y, n.weights(`${name}.weight`, [7, width], 0.4)]);
      const parts = [project('q', 8), project('k', 8), project('v', 6), n.weights('bias', [22], 0.3)];
      return classes(n, n.linear('out', fused('MultiHeadAttention', 'heads', parts, 2), 6));
    },
    ROWS,
  ),
];
