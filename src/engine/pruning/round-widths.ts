import type { ChannelGroup } from '../graph/channel-group';
import { multiplesBelow } from '../graph/widths';

/** @param multiple 'auto': the group's own widths; else multiples of this, and the whole. Widest first */
export const widthsOf = ({ channels, widths }: Pick<ChannelGroup, 'channels' | 'widths'>, multiple: number | 'auto'): readonly number[] =>
  multiple === 'auto' ? widths : multiplesBelow(channels, multiple);

/**
 * How many channels a group keeps at a prune ratio: `round(ratio · n)` of n are removed, never all, then what stays is rounded to the nearest
 * width of `widthsOf`, the wider one on a tie.
 * @param ratio in [0, 1]; a ratio that removes nothing keeps all n
 */
export function keptChannels(group: Pick<ChannelGroup, 'channels' | 'widths'>, ratio: number, multiple: number | 'auto' = 'auto'): number {
  const n = group.channels;
  const kept = n - Math.round(Math.min(1, Math.max(0, ratio)) * n);
  return widthsOf(group, multiple).reduce((best, width) => (Math.abs(width - kept) < Math.abs(best - kept) ? width : best));
}
