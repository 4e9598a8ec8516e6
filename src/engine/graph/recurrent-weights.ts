/**
 * The weights of a recurrent node (LSTM, GRU, RNN) as layers of their own: W, which reads the input, goes by the node's name, and R, which
 * reads the states, by that name with '.recurrent'. Errors of R come back at every step, so it may want more bits than W.
 */
import type { Model, Node } from '../onnx/model';
import { isFloat, type Tensor } from '../onnx/tensor';
import { GATE_AXIS, INPUT, isRecurrent, SUMMED_AXIS } from '../ops/recurrent-layout';

export interface RecurrentWeight {
  readonly name: string;
  readonly tensor: Tensor;
  /** The value that meets the weight: the node's input, or its states (Y, else Y_h where the node puts out no Y). */
  readonly input: string;
  readonly gateAxis: number;
  readonly summedAxis: number;
  /** Biases and peepholes, and states that are constants, all counted with W. */
  readonly others: readonly Tensor[];
}

/** W and R, in this order; none where the node is not recurrent, or its weights are not constants. */
export function recurrentWeights(model: Model, node: Node, name: string): RecurrentWeight[] {
  if (!isRecurrent(node)) return [];
  const tensorAt = (input: number): Tensor | undefined => {
    const tensor = model.graph.initializers.get(node.inputs[input] ?? '');
    return tensor && isFloat(tensor.type) ? tensor : undefined;
  };
  const [w, r] = [tensorAt(INPUT.w), tensorAt(INPUT.r)];
  if (w?.dims.length !== 3 || r?.dims.length !== 3) return [];
  const others = [INPUT.b, INPUT.h, INPUT.c, INPUT.p].flatMap((input) => tensorAt(input) ?? []);
  const axes = { gateAxis: GATE_AXIS, summedAxis: SUMMED_AXIS };
  return [
    { name, tensor: w, input: node.inputs[INPUT.x], others, ...axes },
    { name: `${name}.recurrent`, tensor: r, input: node.outputs.find((o) => o !== '') ?? '', others: [], ...axes },
  ];
}
