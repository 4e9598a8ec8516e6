/**
 * The frame of passes that take a node into the linear layer before it: the layer is changed and makes what the node made, and the node goes.
 * A layer takes in one node a pass; a pass that is repeated takes the next.
 */
import { type Model, type Node, withGraph } from '../../onnx/model';
import type { Tensor } from '../../onnx/tensor';
import { freshName, type PassResult, producersOf, useCounts } from './pass';

export class LayerFolds {
  /** How often each value is read in the model as it was given. */
  readonly uses: ReadonlyMap<string, number>;
  /** The model's, for the pass to add to. */
  readonly initializers: Map<string, Tensor>;
  private readonly producers: ReadonlyMap<string, Node>;
  private readonly replaced = new Map<Node, Node>();
  private readonly dropped = new Set<Node>();

  constructor(private readonly model: Model) {
    this.uses = useCounts(model.graph);
    this.initializers = new Map(model.graph.initializers);
    this.producers = producersOf(model.graph);
  }

  /** The node that makes a value which nothing else reads; undefined where a fold of this pass has touched it. */
  before(value: string | undefined): Node | undefined {
    const node = this.producers.get(value ?? '');
    return node && this.uses.get(value!) === 1 && !this.replaced.has(node) && !this.dropped.has(node) ? node : undefined;
  }

  /** A name for a new initializer. */
  fresh(base: string): string {
    return freshName({ has: (name) => this.initializers.has(name) || this.uses.has(name) }, base);
  }

  /** `changed` stands where `layer` stood, and for `node` behind it. */
  fold(layer: Node, changed: Node, node: Node): void {
    this.replaced.set(layer, { ...changed, outputs: [node.outputs[0]] });
    this.dropped.add(node);
  }

  /** The model without the nodes folded, and without the initializers that only those read. */
  result(): PassResult {
    if (this.dropped.size === 0) return { model: this.model, modified: false };
    const { graph } = this.model;
    const nodes = graph.nodes.filter((n) => !this.dropped.has(n)).map((n) => this.replaced.get(n) ?? n);
    const initializers = new Map(this.initializers);
    const left = useCounts({ ...graph, nodes });
    for (const name of [...this.dropped, ...this.replaced.keys()].flatMap((n) => n.inputs)) if (!left.has(name)) initializers.delete(name);
    return { model: withGraph(this.model, { nodes, initializers }), modified: true };
  }
}
