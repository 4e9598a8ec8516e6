import { defaultMultiple } from '../graph/channel-group';

export interface WidthOptions {
  /** Kept widths are rounded to this; 1 rounds nothing. Default: 8 where the group has 16 channels or more, else 1. */
  readonly multiple?: number;
  /** Fewest channels that stay, at least 1. Default: the multiple. */
  readonly min?: number;
}

/**
 * How many channels a group keeps at a prune ratio: `round(ratio · n)` of n are removed, never all, then what stays is rounded
 * to the nearest multiple (halves up), to at least one multiple and at most n. Widths off the multiple of 8 lose onnxruntime's
 * blocked layout and run no faster than the whole layer.
 * @param ratio in [0, 1]; a ratio that removes nothing keeps all n, multiple or not
 */
export function keptChannels(
  group: { readonly channels: number; readonly multiple?: number },
  ratio: number,
  options: WidthOptions = {},
): number {
  const n = group.channels;
  const multiple = Math.max(1, options.multiple ?? group.multiple ?? defaultMultiple(n));
  const removed = Math.round(Math.min(1, Math.max(0, ratio)) * n);
  if (removed <= 0) return n;
  const kept = Math.max(1, n - removed);
  const rounded = Math.max(multiple, Math.round(kept / multiple) * multiple);
  return Math.min(n, Math.max(rounded, options.min ?? 1));
}
