/**
 * Reverse-mode differentiation over graph nodes: every node that is run through the tape is noted, and `backward` emits the gradients
 * of the noted nodes in reverse order, each by its operator's own `gradient` (or training form).
 */
import { UserError } from '../errors';
import { type AttributeValue, makeNode, type Node } from '../onnx/model';
import { isFloat } from '../onnx/tensor';
import type { GraphBuilder, Value } from '../ops/builder';
import type { InputGradients, OutputGradients, TrainingContext, ValueType } from '../ops/operator';
import { findOperator } from '../ops/registry';
import { emit } from './emit';
import type { CarriedNode } from './operator-set';

export interface TapeServices {
  statistic: TrainingContext['statistic'];
  random: TrainingContext['random'];
}

interface Entry {
  readonly node: Node;
  readonly inputs: ReadonlyArray<Value | undefined>;
  readonly outputs: readonly Value[];
  readonly backward: (gradients: OutputGradients) => InputGradients;
}

export const nodeLabel = (node: Node): string =>
  `'${node.name || node.outputs[0]}' (${node.domain ? `${node.domain}.` : ''}${node.opType})`;

export class Tape {
  private readonly entries: Entry[] = [];
  private readonly needed = new Set<string>();
  private readonly gradients = new Map<string, Value>();

  constructor(
    readonly b: GraphBuilder,
    private readonly services: TapeServices,
  ) {}

  /** Declares a value whose gradient is asked for; everything float that is computed from it needs one too. */
  watch(value: Value): void {
    this.needed.add(value.name);
  }

  needs(value: Value | undefined): boolean {
    return value !== undefined && this.needed.has(value.name);
  }

  /**
   * Runs a node of a model: adopts it, or takes its operator's training form.
   * @param inputs what its inputs are in this graph (names may differ from the node's own)
   * @param types of its outputs; a shape may be missing only where no gradient passes
   * @param opset of the model that the node is from
   * @param options.training take the operator's form for training where it has one
   * @param options.carried the node as it is written to this graph, where that differs
   * @throws UserError naming the node and operator where a gradient would have to pass and cannot
   */
  run(
    node: Node,
    inputs: ReadonlyArray<Value | undefined>,
    types: readonly ValueType[],
    opset: number,
    options: { training?: boolean; carried?: CarriedNode } = {},
  ): readonly Value[] {
    const operator = findOperator(node.opType, node.domain);
    const wants = (i: number): boolean => this.needs(inputs[i]);
    const differentiable = inputs.some((_, i) => wants(i));
    const carried = options.carried ?? { node, inputs };
    const written: Node = { ...carried.node, inputs: carried.node.inputs.map((name, i) => carried.inputs[i]?.name ?? name) };
    const context = { node, opset, b: this.b, inputs, wants };
    if (options.training && operator?.training) {
      const form = operator.training({ ...context, statistic: this.services.statistic, random: this.services.random });
      if (differentiable) this.note({ node, inputs, outputs: form.outputs, backward: (g) => form.backward(g) });
      return form.outputs;
    }
    const outputs = this.b.adopt(written, types);
    if (!differentiable || !outputs.some((o) => isFloat(o.type))) return outputs;
    if (!operator) {
      throw new UserError(
        `node ${nodeLabel(node)} cannot be trained through: Espalier does not know this operator`,
        'Freeze the layers before it, or do without fine-tuning (recovery.epochs: 0).',
      );
    }
    if (!operator.gradient) {
      throw new UserError(
        `node ${nodeLabel(node)} cannot be trained through: ${operator.noGradient ? `it ${operator.noGradient}` : 'no gradient is defined for this operator'}`,
        'Freeze the layers before it, or do without fine-tuning (recovery.epochs: 0).',
      );
    }
    const unshaped = [...inputs, ...outputs].find((v) => v && isFloat(v.type) && v.shape === undefined);
    if (unshaped) {
      throw new UserError(
        `node ${nodeLabel(node)} cannot be trained through: the shape of its value '${unshaped.name}' is not known`,
        'Freeze the layers before it, or export the model with fixed input sizes.',
      );
    }
    this.note({ node, inputs, outputs, backward: (g) => operator.gradient!({ ...context, outputs }, g) });
    return outputs;
  }

  /** A new node of ours, differentiated like any other. */
  op(opType: string, inputs: readonly Value[], attributes: Record<string, AttributeValue | undefined> = {}): Value {
    const operator = findOperator(opType);
    if (!operator) throw new Error(`${opType} is not a registered operator`);
    const node = makeNode(
      opType,
      inputs.map((v) => v.name),
      [this.b.fresh(opType)],
      attributes,
    );
    const types = operator.infer({
      node,
      opset: this.b.opset,
      inputs: inputs.map((v) => ({ type: v.type, shape: v.shape, value: this.b.constantOf(v) })),
    });
    return this.run(node, inputs, types, this.b.opset)[0];
  }

  /**
   * A value made of nodes that the tape did not see, with a gradient of its own (straight-through estimators).
   * @param backward the gradient by `input` from that by `output`
   */
  define(input: Value, output: Value, backward: (gradient: Value) => Value): Value {
    if (this.needs(input)) {
      const node = makeNode('StraightThrough', [input.name], [output.name]);
      this.note({ node, inputs: [input], outputs: [output], backward: ([g]) => [g && backward(g)] });
    }
    return output;
  }

  private note(entry: Entry): void {
    this.entries.push(entry);
    for (const o of entry.outputs) if (isFloat(o.type)) this.needed.add(o.name);
  }

  /** Adds to the gradient of a value. */
  accumulate(value: Value, gradient: Value): void {
    const before = this.gradients.get(value.name);
    this.gradients.set(value.name, before ? emit(this.b, 'Add', [before, gradient], value.shape) : gradient);
  }

  /** Emits the backward pass from the gradients accumulated so far. @throws UserError naming a node that returns none where one is due */
  backward(): void {
    for (const { node, inputs, outputs, backward } of this.entries.toReversed()) {
      const incoming = outputs.map((o) => this.gradients.get(o.name));
      if (incoming.every((g) => g === undefined)) continue;
      backward(incoming).forEach((gradient, i) => {
        const input = inputs[i];
        if (!input || !gradient || !this.needs(input)) return;
        if (gradient.shape.length !== input.shape.length || gradient.shape.some((d, axis) => d !== input.shape[axis])) {
          throw new Error(`the gradient of ${nodeLabel(node)} by '${input.name}' has shape [${gradient.shape}], not [${input.shape}]`);
        }
        this.accumulate(input, gradient);
      });
    }
  }

  gradient(value: Value): Value | undefined {
    return this.gradients.get(value.name);
  }
}
