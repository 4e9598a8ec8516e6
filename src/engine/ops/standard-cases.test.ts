/** Inference against the test cases of the ONNX standard (folder `onnx-node-tests/node`: a model of one node, its inputs and outputs). */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { decode } from '../onnx/codec';
import { loadModel } from '../onnx/file';
import { type Model, opsetOf } from '../onnx/model';
import { type TensorProto, tensorSpec } from '../onnx/schema';
import { isFloat, type Tensor, tensorFromProto } from '../onnx/tensor';
import type { ValueType } from './operator';
import { findOperator } from './registry';

const data = process.env['ESPALIER_DATA'];
const folder = join(data ?? '', 'onnx-node-tests', 'node');
const present = data !== undefined && existsSync(folder);

function readTensor(path: string): Tensor {
  return tensorFromProto(decode<TensorProto>(readFileSync(path), tensorSpec), () => {
    throw new Error('test tensors are whole');
  });
}

const DEPEND_ON_DATA = new Set(['NonMaxSuppression', 'NonZero', 'Unique']);

interface StandardCase {
  readonly name: string;
  readonly model: Model;
  readonly tensors: string;
}

/** Cases of one node that is registered, and whose inputs and outputs are plain tensors. */
function standardCases(): StandardCase[] {
  return readdirSync(folder).flatMap((name): StandardCase[] => {
    // The files keep values of these types under the type of their storage.
    if (/BFLOAT16|FLOAT8|INT4/.test(name)) return [];
    const path = join(folder, name, 'model.onnx');
    const tensors = join(folder, name, 'test_data_set_0');
    if (!existsSync(path) || !existsSync(tensors)) return [];
    const model = loadModel(path);
    const { nodes, inputs, outputs } = model.graph;
    const plain = [...inputs, ...outputs].every((v) => v.proto?.type?.tensorType !== undefined);
    return nodes.length === 1 && plain && findOperator(nodes[0].opType, nodes[0].domain) ? [{ name, model, tensors }] : [];
  });
}

/** Whole-number inputs are taken as constants: shapes, axes and pads are given so. */
function inputTypes({ model, tensors }: StandardCase): Map<string, ValueType> {
  return new Map(
    model.graph.inputs.map((input, i) => {
      const t = readTensor(join(tensors, `input_${i}.pb`));
      const constant = !isFloat(t.type) && t.type !== 'string';
      // Scales of Resize and the depth of OneHot are floats and constants as well.
      const scales = /scales|roi|depth/.test(input.name) || model.graph.nodes[0].opType === 'Range';
      return [input.name, { type: t.type, shape: t.dims, value: constant || scales ? t.renamed('') : undefined }];
    }),
  );
}

describe('test cases of the ONNX standard (needs ESPALIER_DATA)', () => {
  const cases = present ? standardCases() : [];
  it.skipIf(!present)('are there', () => expect(cases.length).toBeGreaterThan(900));

  it.skipIf(!present).each(cases.map((c) => [c.name, c] as const))('%s', (_, standard) => {
    const { model, tensors } = standard;
    const [node] = model.graph.nodes;
    const types = inputTypes(standard);
    const inferred = findOperator(node.opType, node.domain)!.infer({
      node,
      opset: opsetOf(model),
      inputs: node.inputs.map((name) => types.get(name)),
    });
    model.graph.outputs.forEach((output, i) => {
      const real = readTensor(join(tensors, `output_${i}.pb`));
      const { type, shape, value } = inferred[node.outputs.indexOf(output.name)];
      // Lengths that depend on the data stay open; all others must be told.
      const open = DEPEND_ON_DATA.has(node.opType);
      expect({ type, shape: shape?.map((d, axis) => (open && d === '' ? real.dims[axis] : d)) }).toEqual({
        type: real.type,
        shape: real.dims,
      });
      // What was folded must be what the node computes.
      if (value) for (const [at, v] of real.numbers().entries()) expect(value.numbers()[at]).toBeCloseTo(v, 4);
    });
  });
});
