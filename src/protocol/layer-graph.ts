/** What a person sees of a model: layers with shapes and costs, edges, channel groups with their explanation, and sensitivity. */
import * as z from 'zod';

const count = z.number().min(0);
/** A length, or the name of one that is open ('batch'); null where it is unknown. */
const dimension = z.union([z.int(), z.string(), z.null()]);

export const valueShapeSchema = z.object({
  name: z.string(),
  type: z.string(),
  /** Null where not even the number of axes is known. */
  shape: z.array(dimension).nullable(),
});
export type ValueShape = z.output<typeof valueShapeSchema>;

export const layerNodeSchema = z.object({
  /** Unique in the graph. */
  id: z.string().min(1),
  name: z.string(),
  opType: z.string(),
  domain: z.string(),
  /** Name scopes from outside to inside, for folding: ['layer1', '0']. */
  scope: z.array(z.string()),
  inputs: z.array(valueShapeSchema),
  outputs: z.array(valueShapeSchema),
  weights: z.array(valueShapeSchema),
  /** Null where the operator is not known. */
  macs: count.nullable(),
  params: count,
  bytes: count,
  /** Groups whose channels this layer produces or consumes. */
  groups: z.array(z.string()),
  /** Name under which a policy and the config give this layer's bits; absent where it has no weights to quantise. */
  quantizable: z.string().optional(),
  /** Why no channel of this layer is pruned; absent where some may be. */
  notPrunable: z.string().optional(),
  /** Place of the layer in the definition it was exported from, where that is known. Line from 1. */
  source: z.object({ file: z.string(), line: z.int().min(1) }).optional(),
});
export type LayerNode = z.output<typeof layerNodeSchema>;

/**
 * Size of a layer's card in the panel, in pixels, which the worker lays out with: layers that an agent decides about show their ratio and bits,
 * others (also a batch normalisation or a bias, which follow the layer before) only a name.
 */
export function cardSize(node: Pick<LayerNode, 'quantizable'>): { readonly width: number; readonly height: number } {
  return node.quantizable !== undefined ? { width: 216, height: 58 } : { width: 132, height: 28 };
}

export const layerEdgeSchema = z.object({ from: z.string(), to: z.string(), value: z.string() });
export type LayerEdge = z.output<typeof layerEdgeSchema>;

export const channelGroupInfoSchema = z.object({
  id: z.string().min(1),
  channels: z.int().min(0),
  /** Layers that produce the group's channels first, then those that carry them, then those that read them. */
  producers: z.array(z.string()),
  carriers: z.array(z.string()),
  consumers: z.array(z.string()),
  /** Why these are coupled, in words. */
  explanation: z.string(),
  prunable: z.boolean(),
  /** Why not, where `prunable` is false. */
  reason: z.string().optional(),
});
export type ChannelGroupInfo = z.output<typeof channelGroupInfoSchema>;

/** Position of a node's upper left corner and its size (`cardSize`), in pixels, when the worker has laid the graph out from top to bottom. */
export const layoutSchema = z.object({
  width: count,
  height: count,
  nodes: z.record(z.string(), z.object({ x: z.number(), y: z.number(), width: count, height: count })),
});

export const layerGraphSchema = z.object({
  modelPath: z.string(),
  /** SHA-256 of the model file: what sensitivity and overrides belong to. */
  sha256: z.string(),
  format: z.string(),
  opset: z.int().min(1).optional(),
  inputs: z.array(valueShapeSchema),
  outputs: z.array(valueShapeSchema),
  nodes: z.array(layerNodeSchema),
  edges: z.array(layerEdgeSchema),
  groups: z.array(channelGroupInfoSchema),
  macs: count,
  params: count,
  bytes: count,
  /** Operators that are carried through untouched, each once with the reason. */
  unknownOperators: z.array(z.object({ node: z.string(), reason: z.string() })),
  layout: layoutSchema.optional(),
});
export type LayerGraph = z.output<typeof layerGraphSchema>;

/** Accuracy with one group pruned alone. */
export const groupSensitivitySchema = z.object({
  group: z.string(),
  points: z.array(z.object({ ratio: z.number().min(0).lt(1), channels: z.int().min(0), accuracy: z.number().min(0).max(1) })),
});
export type GroupSensitivity = z.output<typeof groupSensitivitySchema>;

/** Accuracy with one layer quantised alone. */
export const layerSensitivitySchema = z.object({
  layer: z.string(),
  points: z.array(z.object({ bits: z.int().min(1).max(8), accuracy: z.number().min(0).max(1) })),
});
export type LayerSensitivity = z.output<typeof layerSensitivitySchema>;

/** What the points of a scan depend on besides model and images. */
export const sensitivityConditionsSchema = z.object({
  /** Name of the data set. */
  data: z.string(),
  /** How channels were chosen: 'l1', … */
  selection: z.string(),
  /** Whether the readers were rebuilt by least squares. */
  reconstruct: z.boolean(),
  /** Where the scan was begun; absent where that was not kept. */
  machine: z.string().optional(),
});
export type SensitivityConditions = z.output<typeof sensitivityConditionsSchema>;

export const sensitivitySchema = z.object({
  modelPath: z.string(),
  sha256: z.string(),
  /** Accuracy of the untouched model on the same images, and how many these are. */
  baseline: z.number().min(0).max(1),
  images: z.int().min(1),
  /** 'accuracy' with labels; 'agreement' with the original model without. */
  measure: z.enum(['accuracy', 'agreement']),
  /** Absent where a scan was kept without them. */
  conditions: sensitivityConditionsSchema.optional(),
  groups: z.array(groupSensitivitySchema),
  layers: z.array(layerSensitivitySchema),
  /** Points done and planned: less than all while a scan runs or was stopped. */
  done: z.int().min(0),
  total: z.int().min(0),
  seconds: z.number().min(0),
});
export type Sensitivity = z.output<typeof sensitivitySchema>;
