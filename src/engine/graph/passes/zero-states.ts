/**
 * Initial states of recurrent layers that are zero anyway are left out, which means the same. Exporters make them from the batch of the
 * input (PyTorch: ConstantOfShape, then a Slice for each layer); their units could not be removed, as their length is part of a computed
 * shape.
 */
import { attr, type Model, type Node, withGraph } from '../../onnx/model';
import { isFloat } from '../../onnx/tensor';
import { INPUT, isRecurrent } from '../../ops/recurrent-layout';
import { type PassResult, producersOf } from './pass';

/** Operators that only move the elements of their first input. */
const MOVES = new Set([
  'Expand',
  'Slice',
  'Reshape',
  'Flatten',
  'Squeeze',
  'Unsqueeze',
  'Transpose',
  'Gather',
  'Tile',
  'Identity',
  'Cast',
  'Split',
]);

export function dropZeroStates(model: Model): PassResult {
  const { graph } = model;
  const makers = producersOf(graph);
  /** Remembered: a value may lead to many others. */
  const known = new Map<string, boolean>();
  const isZero = (name: string): boolean => {
    const before = known.get(name);
    if (before !== undefined) return before;
    const zero = seemsZero(name);
    known.set(name, zero);
    return zero;
  };
  const seemsZero = (name: string): boolean => {
    const tensor = graph.initializers.get(name);
    if (tensor) return isFloat(tensor.type) && tensor.floats().every((v) => v === 0);
    const node = makers.get(name);
    if (node?.domain !== '') return false;
    if (node.opType === 'ConstantOfShape')
      return (
        attr
          .tensor(node, 'value')
          ?.numbers()
          .every((v) => v === 0) ?? true
      );
    if (node.opType === 'Concat') return node.inputs.every(isZero);
    return MOVES.has(node.opType) && isZero(node.inputs[0]);
  };
  let modified = false;
  const nodes = graph.nodes.map((node): Node => {
    if (!isRecurrent(node)) return node;
    const inputs = node.inputs.map((name, i) => ((i === INPUT.h || i === INPUT.c) && name !== '' && isZero(name) ? '' : name));
    while (inputs[inputs.length - 1] === '') inputs.pop();
    if (inputs.length === node.inputs.length && inputs.every((name, i) => name === node.inputs[i])) return node;
    modified = true;
    return { ...node, inputs };
  });
  return modified ? { model: withGraph(model, { nodes }), modified } : { model, modified };
}
