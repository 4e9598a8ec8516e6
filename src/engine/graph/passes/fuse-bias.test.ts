import { describe, expect, it } from 'vitest';
import { type Model, makeNode, type Node } from '../../onnx/model';
import type { Tensor } from '../../onnx/tensor';
import { foldScale } from './fold-scale';
import { fuseBias } from './fuse-bias';
import { expectSameAnswers, normals, operatorsOf, tinyGraph, value } from './testing/same-outputs';

const normal = normals(6);
const image = (nodes: Node[], tensors: Tensor[]): Model => tinyGraph(nodes, tensors, value('x', 'N', 3, 5, 5), value('y', 'N', 4, 3, 3));
const rows = (nodes: Node[], tensors: Tensor[]): Model => tinyGraph(nodes, tensors, value('x', 'N', 6), value('y', 'N', 4));
const conv = makeNode('Conv', ['x', 'w'], ['c']);
const kernel = normal('w', 4, 3, 3, 3);

const biases: ReadonlyArray<readonly [name: string, model: () => Model, operators: string]> = [
  ['Conv → Add [C, 1, 1]', () => image([conv, makeNode('Add', ['c', 'b'], ['y'])], [kernel, normal('b', 4, 1, 1)]), 'Conv'],
  [
    'Conv → Add [1, C, 1, 1], constant first',
    () => image([conv, makeNode('Add', ['b', 'c'], ['y'])], [kernel, normal('b', 1, 4, 1, 1)]),
    'Conv',
  ],
  [
    'ConvTranspose → Add',
    () =>
      tinyGraph(
        [makeNode('ConvTranspose', ['x', 'w'], ['c'], { group: 2 }), makeNode('Add', ['c', 'b'], ['y'])],
        [normal('w', 4, 3, 2, 2), normal('b', 6, 1, 1)],
        value('x', 'N', 4, 3, 3),
        value('y', 'N', 6, 4, 4),
      ),
    'ConvTranspose',
  ],
  [
    'Gemm → Add',
    () =>
      rows(
        [makeNode('Gemm', ['x', 'w'], ['c'], { transB: 1 }), makeNode('Add', ['c', 'b'], ['y'])],
        [normal('w', 4, 6), normal('b', 1, 4)],
      ),
    'Gemm',
  ],
  [
    'MatMul → Add: a Gemm',
    () => rows([makeNode('MatMul', ['x', 'w'], ['c']), makeNode('Add', ['c', 'b'], ['y'])], [normal('w', 6, 4), normal('b', 4)]),
    'Gemm',
  ],
];

describe('fuseBias', () => {
  it.each(biases)('%s', async (_, make, operators) => {
    const model = make();
    const result = fuseBias(model);
    expect(operatorsOf(result.model)).toBe(operators);
    await expectSameAnswers(model, result.model);
  });

  it.each([
    ['a constant for each place', () => image([conv, makeNode('Add', ['c', 'b'], ['y'])], [kernel, normal('b', 4, 3, 3)])],
    ['one number for all', () => image([conv, makeNode('Add', ['c', 'b'], ['y'])], [kernel, normal('b', 1)])],
    ['the last axis, not the channels', () => image([conv, makeNode('Add', ['c', 'b'], ['y'])], [kernel, normal('b', 3)])],
    [
      'a layer that is read elsewhere',
      () => image([conv, makeNode('Add', ['c', 'b'], ['d']), makeNode('Mul', ['c', 'd'], ['y'])], [kernel, normal('b', 4, 1, 1)]),
    ],
    [
      'a product of stacks',
      () =>
        tinyGraph(
          [makeNode('MatMul', ['x', 'w'], ['c']), makeNode('Add', ['c', 'b'], ['y'])],
          [normal('w', 6, 4), normal('b', 4)],
          value('x', 'N', 5, 6),
          value('y', 'N', 5, 4),
        ),
    ],
  ] as const)('leaves alone: %s', (_, make) => {
    const model = make();
    expect(fuseBias(model)).toEqual({ model, modified: false });
  });
});

const scales: ReadonlyArray<readonly [name: string, model: () => Model, operators: string]> = [
  [
    'Conv → Mul → Add, as batch normalisation is written out',
    () =>
      image(
        [conv, makeNode('Mul', ['c', 's'], ['m']), makeNode('Add', ['m', 'b'], ['y'])],
        [kernel, normal('s', 4, 1, 1), normal('b', 4, 1, 1)],
      ),
    'Conv Add',
  ],
  [
    'Conv with a bias → Div',
    () =>
      image(
        [makeNode('Conv', ['x', 'w', 'v'], ['c']), makeNode('Div', ['c', 's'], ['y'])],
        [kernel, normal('v', 4), normal('s', 1, 4, 1, 1)],
      ),
    'Conv',
  ],
  [
    'Gemm → Mul by one number',
    () =>
      rows(
        [makeNode('Gemm', ['x', 'w', 'v'], ['c']), makeNode('Mul', ['s', 'c'], ['y'])],
        [normal('w', 6, 4), normal('v', 4), normal('s', 1)],
      ),
    'Gemm',
  ],
  [
    'MatMul of stacks → Mul',
    () =>
      tinyGraph(
        [makeNode('MatMul', ['x', 'w'], ['c']), makeNode('Mul', ['c', 's'], ['y'])],
        [normal('w', 6, 4), normal('s', 4)],
        value('x', 'N', 5, 6),
        value('y', 'N', 5, 4),
      ),
    'MatMul',
  ],
];

describe('foldScale', () => {
  it.each(scales)('%s', async (_, make, operators) => {
    const model = make();
    const result = foldScale(model);
    expect(operatorsOf(result.model)).toBe(operators);
    await expectSameAnswers(model, result.model);
  });

  it.each([
    ['a constant for each place', () => image([conv, makeNode('Mul', ['c', 's'], ['y'])], [kernel, normal('s', 4, 3, 3)])],
    ['a number over the layer', () => image([conv, makeNode('Div', ['s', 'c'], ['y'])], [kernel, normal('s', 1)])],
    [
      'weights that another layer shares',
      () =>
        image(
          [conv, makeNode('Mul', ['c', 's'], ['m']), makeNode('Conv', ['x', 'w'], ['d']), makeNode('Sub', ['m', 'd'], ['y'])],
          [kernel, normal('s', 4, 1, 1)],
        ),
    ],
  ] as const)('leaves alone: %s', (_, make) => {
    const model = make();
    expect(foldScale(model)).toEqual({ model, modified: false });
  });
});
