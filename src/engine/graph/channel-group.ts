import type { WeightRole } from '../ops/operator';

/** Where a group's channels lie along one axis of a weight. */
export interface WeightMember {
  /** Names of the layers that use the weight so. */
  readonly layers: readonly string[];
  readonly tensor: string;
  readonly axis: number;
  /** Length of the whole axis, channels of other groups included. */
  readonly length: number;
  readonly role: WeightRole;
  /** Positions along the axis for each channel of the group, as many for each: several where an axis was flattened or a convolution is grouped. */
  readonly positions: ReadonlyArray<readonly number[]>;
}

/** Where a group's channels lie along one axis of a value between nodes. */
export interface ValueMember {
  readonly value: string;
  readonly axis: number;
  readonly length: number;
  readonly positions: ReadonlyArray<readonly number[]>;
}

export interface ChannelGroupData {
  /** Stable and readable: the first producing layer's name, with '#2' and so on where one layer produces several groups. */
  readonly id: string;
  /** How many channels the group has; a channel is one index into every member's `positions`. */
  readonly channels: number;
  /** Layers whose output channels these are (weight axes that make them). */
  readonly producers: readonly WeightMember[];
  /** Layers that read them (weight axes that are summed over). */
  readonly consumers: readonly WeightMember[];
  /** Everything else that has one number a channel: biases, batch normalisation, depthwise kernels. */
  readonly parameters: readonly WeightMember[];
  readonly values: readonly ValueMember[];
  /** What the group may keep where the config names no multiple, in descending order (see `widths.ts`). */
  readonly widths: readonly number[];
  /** What of the group touches what, in the order of the graph, for people. */
  readonly parts: readonly string[];
  /** Nodes that make layers share channels, such as "Add 'layer1.0.add'". */
  readonly couplings: readonly string[];
}

/** Channels that must be removed together: the same channel of every member, or of none. */
export class ChannelGroup implements ChannelGroupData {
  readonly id: string;
  readonly channels: number;
  readonly producers: readonly WeightMember[];
  readonly consumers: readonly WeightMember[];
  readonly parameters: readonly WeightMember[];
  readonly values: readonly ValueMember[];
  readonly widths: readonly number[];
  readonly parts: readonly string[];
  readonly couplings: readonly string[];

  constructor(data: ChannelGroupData) {
    this.id = data.id;
    this.channels = data.channels;
    this.producers = data.producers;
    this.consumers = data.consumers;
    this.parameters = data.parameters;
    this.values = data.values;
    this.widths = data.widths;
    this.parts = data.parts;
    this.couplings = data.couplings;
  }

  /** All weight axes of the group, whatever their role. */
  get weights(): WeightMember[] {
    return [...this.producers, ...this.parameters, ...this.consumers];
  }

  /**
   * One line for people: "conv1 out, bn1, conv2 in: coupled by Add 'layer1.0.add'".
   * @param limit how many parts and couplings are named before "and n more"
   */
  explain(limit = 12): string {
    const list = (items: readonly string[]): string =>
      items.length <= limit + 1 ? items.join(', ') : `${items.slice(0, limit).join(', ')} and ${items.length - limit} more`;
    const coupled = this.couplings.length ? `: coupled by ${list(this.couplings)}` : '';
    return `${list(this.parts)}${coupled}`;
  }
}

/** Channels that are made by a layer but cannot be pruned, and why. */
export interface FrozenReason {
  /** As a group's id: the first producing layer's name. */
  readonly id: string;
  readonly channels: number;
  /** Names of the layers that make these channels. */
  readonly layers: readonly string[];
  /** A sentence part that names the node: "passes `Einsum` at node 'x', which Espalier does not know". */
  readonly reason: string;
}
