import type { ChannelGroup } from '../graph/channel-group';
import type { Model } from '../onnx/model';
import type { Random } from '../random';

/**
 * A channel criterion: one score for each channel of the group; channels with the lowest scores go first.
 * Scores compare within a group only.
 */
export interface Criterion {
  readonly name: string;
  /** One sentence for people. */
  readonly description: string;
  /**
   * @param group of `model`
   * @param model at full size: the group's positions count in it
   * @param random for criteria that draw; the others leave it alone
   * @returns group.channels finite scores
   */
  score(group: ChannelGroup, model: Model, random: Random): Float64Array;
}
