/** Figures as people read them. */
import type { Latency } from '../../protocol/policy';

export const formatPercent = (x: number, digits = 2): string => `${(100 * x).toFixed(digits)} %`;

/** 61,706 as it is; from a million on, in M with three figures. */
export function formatCount(n: number): string {
  if (n >= 1e9) return `${(n / 1e9).toPrecision(4)} G`;
  if (n >= 1e7) return `${(n / 1e6).toPrecision(4)} M`;
  return Math.round(n).toLocaleString('en-US');
}

export function formatBytes(n: number): string {
  if (n >= 1e6) return `${(n / 1e6).toFixed(2)} MB`;
  if (n >= 1e3) return `${(n / 1e3).toFixed(1)} KB`;
  return `${Math.round(n)} B`;
}

export const formatMilliseconds = ({ median, low, high }: Latency): string => `${median.toFixed(3)} (${low.toFixed(3)}–${high.toFixed(3)})`;

export function formatSeconds(s: number): string {
  if (s < 60) return `${s.toFixed(s < 10 ? 1 : 0)} s`;
  const minutes = Math.floor(s / 60);
  if (minutes < 60) return `${minutes} min ${Math.round(s % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}
