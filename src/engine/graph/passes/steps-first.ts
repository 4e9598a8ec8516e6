/**
 * Recurrent layers whose tensors have the samples first (`layout` 1, operator set 14) are given the steps first, with transposes around
 * them: onnxruntime has no kernels for the other form.
 */
import { type Model, makeNode, type Node, withGraph } from '../../onnx/model';
import { INPUT, isRecurrent, samplesFirst } from '../../ops/recurrent-layout';
import { freshName, type PassResult } from './pass';

const STATE = [1, 0, 2];
/** [steps, directions, samples, units] to [samples, steps, directions, units]. */
const SEQUENCE = [2, 0, 1, 3];

export function stepsFirst(model: Model): PassResult {
  const { graph } = model;
  if (!graph.nodes.some((n) => isRecurrent(n) && samplesFirst(n))) return { model, modified: false };
  const taken = new Set([
    ...graph.inputs.map((i) => i.name),
    ...graph.initializers.keys(),
    ...graph.nodes.flatMap((n) => [n.name, ...n.outputs]),
  ]);
  const fresh = (base: string): string => {
    const name = freshName(taken, base);
    taken.add(name);
    return name;
  };
  const nodes = graph.nodes.flatMap((node): Node[] => {
    if (!isRecurrent(node) || !samplesFirst(node)) return [node];
    const before: Node[] = [];
    const after: Node[] = [];
    const inputs = node.inputs.map((name, i) => {
      if (name === '' || (i !== INPUT.x && i !== INPUT.h && i !== INPUT.c)) return name;
      const turned = fresh(`${name}_steps_first`);
      before.push(makeNode('Transpose', [name], [turned], { perm: STATE }));
      return turned;
    });
    const outputs = node.outputs.map((name, i) => {
      if (name === '') return name;
      const made = fresh(`${name}_steps_first`);
      after.push(makeNode('Transpose', [made], [name], { perm: i === 0 ? SEQUENCE : STATE }, { name: fresh(`${name}_samples_first`) }));
      return made;
    });
    const attributes = new Map([...node.attributes].filter(([name]) => name !== 'layout'));
    return [...before, { ...node, inputs, outputs, attributes }, ...after];
  });
  return { model: withGraph(model, { nodes }), modified: true };
}
