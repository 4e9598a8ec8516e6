/**
 * One graph has one operator set: a training graph is written in set 17, or the model's own where that is newer. Nodes of older models
 * are put in the form of set 17 when they are carried over; nodes that gradients emit in the form of 17 are put in that of newer sets.
 */
import { UserError } from '../errors';
import { type AttributeValue, attr, type Model, makeNode, type Node, withGraph } from '../onnx/model';
import { Tensor } from '../onnx/tensor';
import type { GraphBuilder, Value } from '../ops/builder';

/** The operator set of training graphs of models up to that set. */
export const GRAPH_OPSET = 17;

export interface CarriedNode {
  readonly node: Node;
  readonly inputs: ReadonlyArray<Value | undefined>;
}

/**
 * A node of a model of an operator set below 17 in the form of 17: attributes that became inputs are made inputs.
 * @throws UserError where the old form has no counterpart
 */
export function carryOver(b: GraphBuilder, node: Node, inputs: ReadonlyArray<Value | undefined>, opset: number): CarriedNode {
  if (opset >= 13 || node.domain !== '') return { node, inputs };
  /** The node without these attributes, with others set, and with inputs added. */
  const changed = (
    drop: readonly string[],
    add: ReadonlyArray<Value | undefined>,
    set: Record<string, AttributeValue> = {},
  ): CarriedNode => {
    const attributes = new Map([...node.attributes].filter(([name]) => !drop.includes(name)));
    for (const [name, a] of makeNode('', [], [''], set).attributes) attributes.set(name, a);
    const all = [...inputs, ...add];
    return { node: { ...node, attributes, inputs: all.map((v) => v?.name ?? '') }, inputs: all };
  };
  const asInput = (name: string): Value[] => {
    const values = attr.ints(node, name);
    return values ? [b.ints(values)] : [];
  };
  switch (node.opType) {
    case 'Squeeze':
    case 'Unsqueeze':
    case 'ReduceSum':
      return changed(['axes'], asInput('axes'));
    case 'Split':
      return changed(['split'], asInput('split'));
    case 'Softmax':
    case 'LogSoftmax': {
      const rank = inputs[0]?.shape?.length;
      const axis = attr.int(node, 'axis', 1);
      // The old form flattens all axes from `axis` on; with one such axis both forms agree.
      if (rank === undefined || (axis !== -1 && axis !== rank - 1)) {
        throw new UserError(
          `node '${node.name || node.outputs[0]}' (${node.opType}) works over several axes, as only operator sets below 13 allow`,
          'Export the model with operator set 13 or newer.',
        );
      }
      return changed([], [], { axis: rank - 1 });
    }
    case 'Dropout':
      return changed(['ratio', 'is_test'], []);
    case 'BatchNormalization':
      return { ...changed(['spatial', 'is_test'], []) };
    case 'Clip':
      if (opset >= 11) return { node, inputs };
      return changed(['min', 'max'], [b.scalar(attr.float(node, 'min', -3.4e38)), b.scalar(attr.float(node, 'max', 3.4e38))]);
    case 'Pad':
      if (opset >= 11) return { node, inputs };
      return changed(['pads', 'value'], [...asInput('pads'), b.scalar(attr.float(node, 'value', 0))]);
    case 'Slice':
      if (opset >= 10) return { node, inputs };
      return changed(['starts', 'ends', 'axes'], [...asInput('starts'), ...asInput('ends'), ...asInput('axes')]);
    case 'Upsample': {
      const scales = attr.floats(node, 'scales');
      const given = scales ? b.floats(b.fresh('scales'), [scales.length], Float32Array.from(scales)) : inputs[1];
      return renamed('Resize', [inputs[0], undefined, given], firstResize(given));
    }
    case 'Resize':
      if (opset >= 11) return { node, inputs };
      return renamed('Resize', [inputs[0], undefined, inputs[1]], firstResize(inputs[1]));
    case 'Scatter':
      return renamed('ScatterElements', inputs);
    case 'TopK':
      if (opset >= 10) return { node, inputs };
      return changed(['k'], [b.ints([attr.int(node, 'k', 1)])]);
    default:
      return { node, inputs };
  }

  /** Where Upsample and the first Resize read: they knew no other way. onnxruntime rounds up along axes that become shorter. */
  function firstResize(scales: Value | undefined): Record<string, AttributeValue> {
    const factors = scales && b.constantOf(scales)?.numbers();
    const shorter = factors?.some((f) => f < 1) ?? false;
    if (shorter && factors?.some((f) => f > 1))
      throw new UserError(
        `node '${node.name || node.outputs[0]}' (${node.opType}) makes one axis longer and another shorter, which operator sets below 11 do in a way of their own`,
        'Export the model with operator set 11 or newer.',
      );
    return { coordinate_transformation_mode: 'asymmetric', nearest_mode: shorter ? 'ceil' : 'floor' };
  }

  /** The node under a newer operator's name, with other inputs. */
  function renamed(opType: string, newInputs: ReadonlyArray<Value | undefined>, set: Record<string, AttributeValue> = {}): CarriedNode {
    const mode = attr.string(node, 'mode', 'nearest');
    const linear = mode === 'bilinear' ? { mode: 'linear' } : {};
    const attributes = new Map([...node.attributes].filter(([name]) => name !== 'scales'));
    for (const [name, a] of makeNode('', [], [''], { ...set, ...linear }).attributes) attributes.set(name, a);
    return { node: { ...node, opType, attributes, inputs: newInputs.map((v) => v?.name ?? '') }, inputs: newInputs };
  }
}

const AXES_BECAME_INPUT_IN_18 = new Set([
  'ReduceL1',
  'ReduceL2',
  'ReduceLogSum',
  'ReduceLogSumExp',
  'ReduceMax',
  'ReduceMean',
  'ReduceMin',
  'ReduceProd',
  'ReduceSumSquare',
]);

/** Nodes written in the form of operator set 17, in a graph of a newer one. */
export function modernized(model: Model): Model {
  if ((model.opsets.get('') ?? 0) < 18) return model;
  const initializers = new Map(model.graph.initializers);
  const nodes = model.graph.nodes.map((node): Node => {
    const axes = AXES_BECAME_INPUT_IN_18.has(node.opType) ? attr.ints(node, 'axes') : undefined;
    if (!axes || node.domain !== '') return node;
    const name = `axes_of_${node.outputs[0]}`;
    initializers.set(name, Tensor.ints(name, axes));
    return {
      ...node,
      inputs: [node.inputs[0], name],
      attributes: new Map([...node.attributes].filter(([key]) => key !== 'axes')),
    };
  });
  return withGraph(model, { nodes, initializers });
}
