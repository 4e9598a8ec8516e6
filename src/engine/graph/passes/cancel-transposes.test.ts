import { describe, expect, it } from 'vitest';
import { topologies } from '../../../../test/topologies';
import { type Model, makeNode, type Node } from '../../onnx/model';
import { Tensor } from '../../onnx/tensor';
import { Random } from '../../random';
import { cancelTransposes } from './cancel-transposes';
import { removeDeadCode } from './dead-code';
import { removeIdentity } from './remove-identity';
import { expectSameAnswers, normals, operatorsOf, tinyGraph, value } from './testing/same-outputs';

const normal = normals(5);
/** Channels first to last, and back. */
const toLast = (from: string, to: string): Node => makeNode('Transpose', [from], [to], { perm: [0, 2, 3, 1] });
const toFirst = (from: string, to: string): Node => makeNode('Transpose', [from], [to], { perm: [0, 3, 1, 2] });
const conv = (from: string, weight: string, to: string): Node => makeNode('Conv', [from, weight], [to], {}, { name: to });
const image = value('x', 'N', 3, 6, 5);
const filters = [normal('w', 4, 3, 3, 3), normal('v', 4, 4, 1, 1)];

/** x → Conv → to channels last → `inner` from 'a' to 'b' → to channels first → Conv → y. */
const between = (inner: Node[], tensors: Tensor[] = [], channels = 4): Model =>
  tinyGraph(
    [conv('x', 'w', 'c'), toLast('c', 'a'), ...inner, toFirst('b', 'd'), conv('d', 'u', 'y')],
    [...filters, normal('u', 2, channels, 1, 1), ...tensors],
    image,
    value('y', 'N', 2, 'H', 'W'),
  );

const cases: ReadonlyArray<readonly [name: string, model: () => Model, operators: string]> = [
  ['nothing between', () => between([makeNode('Relu', ['a'], ['b'])]), 'Conv Relu Conv'],
  ['a bias along the last axis', () => between([makeNode('Add', ['a', 'k'], ['b'])], [normal('k', 4)]), 'Conv Add Conv'],
  [
    'a clip and a scalar',
    () => between([makeNode('Clip', ['a', 'k'], ['e']), makeNode('Mul', ['e', 'k'], ['b'])], [Tensor.scalar('k', 0.3)]),
    'Conv Clip Mul Conv',
  ],
  ['a constant image', () => between([makeNode('Mul', ['k', 'a'], ['b'])], [normal('k', 1, 4, 3, 4)]), 'Conv Mul Conv'],
  ['a slope for each channel', () => between([makeNode('PRelu', ['a', 'k'], ['b'])], [normal('k', 1, 1, 4)]), 'Conv PRelu Conv'],
  [
    'a concatenation with a branch',
    () => between([toFirst('a', 'e'), conv('e', 'v', 'f'), toLast('f', 'g'), makeNode('Concat', ['a', 'g'], ['b'], { axis: -1 })], [], 8),
    'Conv Conv Concat Conv',
  ],
  [
    'padding and cutting',
    () =>
      between(
        [makeNode('Pad', ['a', 'pads'], ['e']), makeNode('Slice', ['e', 'from', 'to', 'axes'], ['b'])],
        [
          Tensor.ints('pads', [0, 1, 2, 0, 0, 0, 1, 1]),
          Tensor.ints('from', [1, 1]),
          Tensor.ints('to', [4, 4]),
          Tensor.ints('axes', [1, 3]),
        ],
        3,
      ),
    'Conv Pad Slice Conv',
  ],
  [
    'the two halves of a split',
    () =>
      between([
        makeNode('Split', ['a'], ['e', 'f'], { axis: 3 }),
        makeNode('Add', ['e', 'f'], ['g']),
        makeNode('Concat', ['g', 'e'], ['b'], { axis: 3 }),
      ]),
    'Conv Split Add Concat Conv',
  ],
  ['softmax along channels', () => between([makeNode('Softmax', ['a'], ['b'], { axis: 3 })]), 'Conv Softmax Conv'],
  [
    'enlarging',
    () =>
      between([makeNode('Resize', ['a', '', 'k'], ['b'], { mode: 'nearest' })], [Tensor.float32('k', [4], Float32Array.of(1, 2, 3, 1))]),
    'Conv Resize Conv',
  ],
  [
    'a gate of each channel',
    () =>
      between([
        makeNode('ReduceMean', ['a'], ['m'], { axes: [1, 2], keepdims: 1 }),
        makeNode('Sigmoid', ['m'], ['s']),
        makeNode('Mul', ['a', 's'], ['b']),
      ]),
    'Conv ReduceMean Sigmoid Mul Conv',
  ],
  [
    'a gate by way of rows',
    () =>
      between(
        [
          makeNode('ReduceMean', ['a'], ['m'], { axes: [1, 2], keepdims: 0 }),
          makeNode('MatMul', ['m', 'k'], ['p']),
          makeNode('Reshape', ['p', 'gate'], ['s']),
          makeNode('Mul', ['a', 's'], ['b']),
        ],
        [normal('k', 4, 4), Tensor.ints('gate', [-1, 1, 1, 4])],
      ),
    'Conv ReduceMean MatMul Reshape Mul Conv',
  ],
  ['a matrix along channels', () => between([makeNode('MatMul', ['a', 'k'], ['b'])], [normal('k', 4, 6)], 6), 'Conv Conv Conv'],
  [
    'a sum with what was already turned',
    () =>
      tinyGraph(
        [
          conv('x', 'w', 'c'),
          toLast('c', 'a'),
          toFirst('a', 'd'),
          conv('d', 'v', 'e'),
          toLast('e', 'f'),
          makeNode('Add', ['f', 'a'], ['g']),
          toFirst('g', 'h'),
          makeNode('Relu', ['h'], ['y']),
        ],
        filters,
        image,
        value('y', 'N', 4, 4, 3),
      ),
    'Conv Conv Add Relu',
  ],
  [
    'rows for a layer that can take them in another order',
    () =>
      tinyGraph(
        [
          conv('x', 'w', 'c'),
          toLast('c', 'a'),
          makeNode('Reshape', ['a', 'rows'], ['r']),
          makeNode('Relu', ['r'], ['q']),
          makeNode('Mul', ['q', 'scale'], ['p']),
          makeNode('MatMul', ['p', 'k'], ['m']),
          makeNode('Gemm', ['r', 't'], ['n'], { transB: 1 }),
          makeNode('Add', ['m', 'n'], ['y']),
        ],
        [...filters, Tensor.ints('rows', [-1, 48]), normal('scale', 48), normal('k', 48, 5), normal('t', 5, 48)],
        image,
        value('y', 'N', 5),
      ),
    'Conv Reshape Relu Mul MatMul Gemm Add',
  ],
  [
    'a sequence through a convolution of two axes (ExpandDims, Squeeze)',
    () =>
      tinyGraph(
        [
          makeNode('Transpose', ['x'], ['l'], { perm: [0, 2, 1] }),
          makeNode('Unsqueeze', ['l', 'axis'], ['e']),
          toFirst('e', 'f'),
          conv('f', 'k', 'g'),
          toLast('g', 'h'),
          makeNode('Squeeze', ['h', 'axis'], ['i']),
          makeNode('Transpose', ['i'], ['y'], { perm: [0, 2, 1] }),
        ],
        [normal('k', 4, 3, 1, 2), Tensor.ints('axis', [1])],
        value('x', 'N', 3, 7),
        value('y', 'N', 4, 6),
      ),
    'Unsqueeze Conv Squeeze',
  ],
  [
    'the shape of a turned value',
    () =>
      tinyGraph(
        [
          conv('x', 'w', 'c'),
          toLast('c', 'a'),
          makeNode('Shape', ['a'], ['s']),
          makeNode('Expand', ['k', 's'], ['e']),
          makeNode('Add', ['a', 'e'], ['b']),
          toFirst('b', 'd'),
          makeNode('Cast', ['s'], ['t'], { to: 1 }),
          makeNode('Relu', ['d'], ['y']),
        ],
        [...filters, normal('k', 1)],
        image,
        [value('y', 'N', 4, 4, 3), value('t', 4)],
      ),
    'Conv Shape Gather Expand Transpose Add Cast Relu',
  ],
  [
    'a value that also leaves',
    () =>
      tinyGraph(
        [conv('x', 'w', 'c'), toLast('c', 'a'), makeNode('Relu', ['a'], ['out']), toFirst('out', 'd'), conv('d', 'v', 'y')],
        filters,
        image,
        [value('y', 'N', 4, 4, 3), value('out', 'N', 4, 3, 4)],
      ),
    'Conv Relu Transpose Conv',
  ],
];

const transposes = (m: Model): number => m.graph.nodes.filter((n) => n.opType === 'Transpose').length;

describe('cancelTransposes', () => {
  it.each(cases)('%s', async (_, make, operators) => {
    const model = make();
    const result = cancelTransposes(model);
    expect(result.modified).toBe(true);
    expect(operatorsOf(removeDeadCode(removeIdentity(result.model).model).model)).toBe(operators);
    await expectSameAnswers(model, result.model);
  });

  it.each([
    [
      'attention: the Transposes stay',
      [makeNode('Transpose', ['x'], ['t'], { perm: [0, 1, 3, 2] }), makeNode('MatMul', ['x', 't'], ['y'])],
    ],
    ['a Transpose of the end', [makeNode('Relu', ['x'], ['r']), toLast('r', 'y')]],
  ] as const)('leaves alone: %s', (_, nodes) => {
    const model = tinyGraph([...nodes], [], image, { ...value('y'), shape: undefined });
    expect(cancelTransposes(model)).toEqual({ model, modified: false });
  });

  it.each(topologies().map((t) => [t.name, t] as const))('topology %s as tf2onnx writes it', async (_, t) => {
    // Every value of four axes goes to channels last and back.
    let made = 0;
    const nodes = t.model.graph.nodes.flatMap((n): Node[] => {
      if (!['Conv', 'MaxPool', 'AveragePool'].includes(n.opType)) return [n];
      const [from, to] = [`turned_${made++}`, `turned_${made++}`];
      return [{ ...n, outputs: [from] }, toLast(from, to), { ...toFirst(to, n.outputs[0]), name: `${to}_back` }];
    });
    const model = { ...t.model, graph: { ...t.model.graph, nodes } };
    const result = cancelTransposes(model);
    // Those of its own, as in attention, may each come after a fork and be made twice.
    if (transposes(t.model) === 0) expect(operatorsOf(result.model)).toBe(operatorsOf(t.model));
    else expect(transposes(result.model)).toBeLessThanOrEqual(transposes(model) - made / 2);
    await expectSameAnswers(model, result.model);
  });

  it('random chains of what it pushes through', async () => {
    const random = new Random(11);
    for (let round = 0; round < 25; round++) {
      const nodes: Node[] = [];
      const tensors: Tensor[] = [];
      const values = [{ name: 'x', dims: [2, 3, 4, 5] as number[] }];
      for (let i = 0; i < 9; i++) {
        const v = values[random.below(values.length)];
        const out = `v${i}`;
        const axis = random.below(4);
        const kind = random.below(6);
        if (kind <= 2) {
          const perm = [...random.permutation(4)];
          nodes.push(makeNode('Transpose', [v.name], [out], { perm }));
          values.push({ name: out, dims: perm.map((p) => v.dims[p]) });
        } else if (kind === 3) {
          nodes.push(makeNode('Tanh', [v.name], [out]));
          values.push({ name: out, dims: v.dims });
        } else if (kind === 4) {
          const other = values.findLast((o) => o.name !== v.name && o.dims.join() === v.dims.join()) ?? v;
          nodes.push(makeNode('Add', [v.name, other.name], [`${out}s`]), makeNode('Mul', [`${out}s`, `k${i}`], [out]));
          tensors.push(normal(`k${i}`, ...v.dims.slice(random.below(4))));
          values.push({ name: out, dims: v.dims });
        } else {
          nodes.push(
            makeNode('Concat', [v.name, v.name], [`${out}c`], { axis }),
            makeNode('Slice', [`${out}c`, 'one', `e${i}`, `a${i}`], [out]),
          );
          tensors.push(Tensor.ints(`a${i}`, [axis]), Tensor.ints(`e${i}`, [v.dims[axis] + 1]));
          values.push({ name: out, dims: v.dims });
        }
      }
      const outputs = values.slice(-2).map((v) => value(v.name, ...v.dims));
      const model = tinyGraph(nodes, [...tensors, Tensor.ints('one', [1])], value('x', 2, 3, 4, 5), outputs);
      await expectSameAnswers(model, cancelTransposes(model).model, 0);
    }
  });
});
