import { UserError } from '../../errors';
import { attr, type Model, type Shape, withGraph } from '../../onnx/model';
import { Tensor } from '../../onnx/tensor';
import { inferTypes } from '../infer';
import { freshName, type Pass, useCounts } from './pass';

/** Batches at which shapes are compared; no common divisor, so that a length that follows the batch cannot look fixed. */
const BATCHES = [2, 3, 7];

/**
 * Gives a Reshape whose target is computed (Shape → Gather → Concat, as exporters write `x.view(x.size(0), -1)`) a constant target,
 * so that channels can be followed through it and shapes are known with a free batch. Legal cases:
 * 1. every input has a free batch and is otherwise of fixed lengths, so that all shapes follow from the batch;
 * 2. at most one length of the result changes with the batch: that one becomes −1, "whatever is left", the others are constant.
 */
export const staticReshapes: Pass = (model) => {
  const { graph } = model;
  const dynamic = graph.nodes.filter(
    (n) => n.opType === 'Reshape' && n.domain === '' && n.inputs[1] && !graph.initializers.has(n.inputs[1]),
  );
  if (dynamic.length === 0 || !followsFromBatch(model)) return { model, modified: false };
  const inferred = typesByBatch(model);
  if (!inferred) return { model, modified: false };
  const initializers = new Map(graph.initializers);
  const uses = useCounts(graph);
  let modified = false;
  const nodes = graph.nodes.map((node) => {
    if (!dynamic.includes(node) || attr.int(node, 'allowzero', 0) !== 0) return node;
    const target = targetFor(inferred.map((types) => types.get(node.outputs[0])?.shape));
    if (!target) return node;
    const name = freshName({ has: (n) => initializers.has(n) || uses.has(n) }, `${node.outputs[0]}_shape`);
    initializers.set(name, Tensor.ints(name, target));
    modified = true;
    return { ...node, inputs: [node.inputs[0], name] };
  });
  return modified ? { model: withGraph(model, { nodes, initializers }), modified } : { model, modified };
};

/** Case 1. */
const followsFromBatch = (model: Model): boolean =>
  model.graph.inputs.every((i) => typeof i.shape?.[0] === 'string' && i.shape.slice(1).every((d) => typeof d === 'number'));

/** Types at each batch; undefined where the model does not take every batch. */
function typesByBatch(model: Model) {
  try {
    return BATCHES.map((batch) => inferTypes(model, { batch }).types);
  } catch (e) {
    if (e instanceof UserError) return undefined;
    throw e;
  }
}

/** Case 2: the constant target that gives each of these shapes at its batch. */
function targetFor(shapes: ReadonlyArray<Shape | undefined>): number[] | undefined {
  const [first] = shapes;
  if (!first || shapes.some((s) => s?.length !== first.length || s.some((d) => typeof d !== 'number'))) return undefined;
  const target = first.map((d, axis) => (shapes.every((s) => s![axis] === d) ? Number(d) : -1));
  // A length of 0 would mean "as the input" in a target.
  return target.filter((d) => d === -1).length <= 1 && !target.includes(0) ? target : undefined;
}
