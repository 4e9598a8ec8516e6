import { describe, expect, it } from 'vitest';
import { type Model, makeNode, type Node } from '../../onnx/model';
import { Tensor } from '../../onnx/tensor';
import { Random } from '../../random';
import { gatherParts } from './gather-parts';
import { mergeMoves } from './merge-moves';
import { rowsApart } from './rows-apart';
import { expectSameAnswers, normals, operatorsOf, tinyGraph, value } from './testing/same-outputs';

const reshape = (from: string, to: string, shape: string): Node => makeNode('Reshape', [from, shape], [to]);
const transpose = (from: string, to: string, perm: number[]): Node => makeNode('Transpose', [from], [to], { perm });

describe('mergeMoves', () => {
  const rows: ReadonlyArray<readonly [what: string, model: Model, operators: string]> = [
    [
      'heads beside the samples, and apart again: [T, N, E] → [T, N·H, d] → [N·H, T, d] → [N, H, T, d]',
      tinyGraph(
        [reshape('x', 'a', 'sa'), transpose('a', 'b', [1, 0, 2]), reshape('b', 'y', 'sb')],
        [Tensor.ints('sa', [6, -1, 4]), Tensor.ints('sb', [-1, 3, 6, 4])],
        value('x', 6, 'N', 12),
        value('y', 'N', 3, 6, 4),
      ),
      'Reshape Transpose',
    ],
    [
      'keys turned while heads and samples are one axis: [N, H, T, d] → [N·H, T, d] → [N·H, d, T] → [N, H, d, T]',
      tinyGraph(
        [reshape('x', 'a', 'sa'), transpose('a', 'b', [0, 2, 1]), reshape('b', 'y', 'sb')],
        [Tensor.ints('sa', [-1, 6, 4]), Tensor.ints('sb', [-1, 3, 4, 6])],
        value('x', 'N', 3, 6, 4),
        value('y', 'N', 3, 4, 6),
      ),
      'Transpose',
    ],
    [
      'an axis brought to the front by a detour over one of length 1',
      tinyGraph(
        [
          reshape('x', 'a', 'sa'),
          makeNode('Unsqueeze', ['a', 'first'], ['b']),
          transpose('b', 'c', [3, 1, 2, 0, 4]),
          makeNode('Squeeze', ['c', 'last'], ['y']),
        ],
        [Tensor.ints('sa', [0, 0, 3, 4]), Tensor.ints('first', [0]), Tensor.ints('last', [-2])],
        value('x', 6, 'N', 12),
        value('y', 3, 6, 'N', 4),
      ),
      'Reshape Transpose',
    ],
    [
      'there and back is nothing',
      tinyGraph(
        [reshape('x', 'a', 'sa'), transpose('a', 'b', [0, 2, 1]), transpose('b', 'c', [0, 2, 1]), reshape('c', 'y', 'sb')],
        [Tensor.ints('sa', [-1, 3, 4]), Tensor.ints('sb', [-1, 12])],
        value('x', 'N', 12),
        value('y', 'N', 12),
      ),
      'Identity',
    ],
    [
      'a shuffle stays, being as short as it can be',
      tinyGraph(
        [reshape('x', 'a', 'sa'), transpose('a', 'b', [0, 2, 1, 3]), reshape('b', 'y', 'sb')],
        [Tensor.ints('sa', [0, 3, 4, 5]), Tensor.ints('sb', [0, 12, 5])],
        value('x', 'N', 12, 5),
        value('y', 'N', 12, 5),
      ),
      'Reshape Transpose Reshape',
    ],
    [
      'a value that something else reads stays',
      tinyGraph(
        [reshape('x', 'a', 'sa'), transpose('a', 'b', [1, 0, 2]), reshape('b', 'y', 'sb'), makeNode('Relu', ['a'], ['z'])],
        [Tensor.ints('sa', [6, -1, 4]), Tensor.ints('sb', [-1, 3, 6, 4])],
        value('x', 6, 'N', 12),
        [value('y', 'N', 3, 6, 4), value('z', 6, 'M', 4)],
      ),
      'Reshape Transpose Reshape Relu',
    ],
    [
      'lengths that no factors meet stay',
      tinyGraph(
        [reshape('x', 'a', 'sa'), transpose('a', 'b', [1, 0]), reshape('b', 'y', 'sb')],
        [Tensor.ints('sa', [4, 9]), Tensor.ints('sb', [6, 6])],
        value('x', 6, 6),
        value('y', 6, 6),
      ),
      'Reshape Transpose Reshape',
    ],
  ];
  it.each(rows)('%s', async (_, model, operators) => {
    const result = mergeMoves(model);
    expect(operatorsOf(result.model)).toBe(operators);
    expect(result.modified).toBe(operators !== operatorsOf(model));
    await expectSameAnswers(model, result.model, 0);
  });

  it('random rows of them give the same', async () => {
    const random = new Random(12);
    let shortened = 0;
    for (let round = 0; round < 60; round++) {
      let shape = [2, 3, 4, 6].map((d) => (random.below(5) === 0 ? 1 : d));
      const given = shape;
      const tensors: Tensor[] = [];
      const nodes: Node[] = [];
      let at = 'x';
      const count = 3 + random.below(5);
      for (let i = 0; i < count; i++) {
        const to = i === count - 1 ? 'y' : `v${i}`;
        if (random.below(2)) {
          const perm = random.permutation(shape.length);
          nodes.push(transpose(at, to, [...perm]));
          shape = [...perm].map((from) => shape[from]);
        } else {
          // Two neighbours joined, or one axis cut in two.
          const k = random.below(shape.length);
          const half = [2, 3].find((d) => shape[k] % d === 0) ?? 1;
          shape =
            random.below(2) && k + 1 < shape.length
              ? [...shape.slice(0, k), shape[k] * shape[k + 1], ...shape.slice(k + 2)]
              : [...shape.slice(0, k), half, shape[k] / half, ...shape.slice(k + 1)];
          const target = random.below(2) ? shape : shape.map((d, j) => (j === k ? -1 : d));
          tensors.push(Tensor.ints(`s${i}`, target));
          nodes.push(reshape(at, to, `s${i}`));
        }
        at = to;
      }
      const model = tinyGraph(nodes, tensors, value('x', ...given), value('y', ...shape));
      const result = mergeMoves(model);
      if (result.modified) shortened++;
      expect(result.model.graph.nodes.length).toBeLessThanOrEqual(nodes.length);
      await expectSameAnswers(model, result.model, 0);
    }
    expect(shortened).toBeGreaterThan(20);
  });
});

describe('gatherParts', () => {
  const normal = normals(2);
  const parts = (perm: number[], axis: number, index: Tensor, output: (number | string)[], target = [0, 0, 3, 4]): Model =>
    tinyGraph(
      [
        makeNode('MatMul', ['x', 'w'], ['m']),
        reshape('m', 'a', 'sa'),
        transpose('a', 'b', perm),
        makeNode('Gather', ['b', 'i'], ['y'], { axis }),
      ],
      [normal('w', 5, 12), Tensor.ints('sa', target), index],
      value('x', 6, 'N', 5),
      value('y', ...output),
    );
  const one = (i: number): Tensor => Tensor.int64('i', [], [i]);

  it.each([
    ['the second of three', parts([2, 0, 1, 3], 0, one(1), [6, 'N', 4])],
    ['the last, counted from the end', parts([0, 2, 1, 3], 1, one(-1), [6, 'N', 4])],
  ])('%s becomes a Slice', async (_, model) => {
    const result = gatherParts(model);
    expect(operatorsOf(result.model)).toContain('Slice');
    expect(operatorsOf(result.model)).not.toContain('Gather');
    await expectSameAnswers(model, result.model, 0);
  });

  it.each([
    ['a list of places', parts([2, 0, 1, 3], 0, Tensor.ints('i', [1]), [1, 6, 'N', 4])],
    ['the inner of two axes', parts([3, 0, 1, 2], 0, one(1), [6, 'N', 3])],
    ['others that change places', parts([2, 1, 0, 3], 0, one(1), ['N', 6, 4])],
    ['an axis that is not cut', parts([0, 1, 2, 3], 0, one(1), ['N', 3, 4])],
  ])('%s: left alone', (_, model) => {
    expect(gatherParts(model)).toEqual({ model, modified: false });
  });
});

describe('rowsApart', () => {
  const normal = normals(5);
  const rowsOf = (given: (number | string)[], after: number[], gemm: object, tensors: Tensor[], output: (number | string)[]): Model =>
    tinyGraph(
      [
        reshape('x', 'rows', 'sa'),
        makeNode('Gemm', ['rows', ...tensors.map((t) => t.name)], ['g'], gemm as Record<string, number>, { name: 'layer' }),
        reshape('g', 'y', 'sb'),
      ],
      [Tensor.ints('sa', [-1, 12]), Tensor.ints('sb', after), ...tensors],
      value('x', ...given),
      value('y', ...output),
    );

  it.each([
    [
      'with a bias, the matrix turned',
      rowsOf([6, 2, 3, 4], [6, 2, 5], { transB: 1 }, [normal('w', 5, 12), normal('b', 5)], [6, 2, 5]),
      'Reshape MatMul Add',
    ],
    ['bare, axes as they are', rowsOf([6, 2, 12], [6, 2, 5], {}, [normal('w', 12, 5)], [6, 2, 5]), 'MatMul'],
  ])('%s', async (_, model, operators) => {
    const result = rowsApart(model);
    expect(operatorsOf(result.model)).toBe(operators);
    expect(result.model.graph.nodes.find((n) => n.opType === 'MatMul')!.name).toBe('layer');
    await expectSameAnswers(model, result.model);
  });

  it.each([
    ['axes that change', rowsOf([6, 2, 12], [2, 6, 5], {}, [normal('w', 12, 5)], [2, 6, 5])],
    ['rows that stay rows', rowsOf([6, 2, 12], [12, 5], {}, [normal('w', 12, 5)], [12, 5])],
    ['a factor', rowsOf([6, 2, 12], [6, 2, 5], { alpha: { float: 2 } }, [normal('w', 12, 5)], [6, 2, 5])],
    ['an addend for each row', rowsOf([6, 2, 12], [6, 2, 5], {}, [normal('w', 12, 5), normal('b', 12, 5)], [6, 2, 5])],
  ])('%s: left alone', (_, model) => {
    expect(rowsApart(model)).toEqual({ model, modified: false });
  });
});
