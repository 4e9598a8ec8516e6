/** Figures of runs as lists, lenses and status bars show them. */
import * as vscode from 'vscode';
import { originalOf } from '../../protocol/original-of';
import type { Candidate, ModelCost } from '../../protocol/policy';
import type { RunSummary } from '../../protocol/run-summary';

const { t } = vscode.l10n;

/** A true minus sign: hyphens make figures hard to read. */
export function signed(value: number, digits = 0): string {
  const text = Math.abs(value).toFixed(digits);
  if (Number(text) === 0) return `±${(0).toFixed(digits)}`;
  return `${value < 0 ? '−' : '+'}${text}`;
}

/** '−71 %': how much of `before` is gone or came. */
export function changeText(before: number, after: number): string {
  return before > 0 ? `${signed((after / before - 1) * 100)} %` : '–';
}

/** '−0.2 pt': percentage points. */
export function pointsText(before: number, after: number): string {
  return t('{0} pt', signed((after - before) * 100, 1));
}

export function percentText(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

/** '1.2 M', '640 k', '12'. */
export function countText(count: number): string {
  for (const [unit, size] of [
    ['G', 1e9],
    ['M', 1e6],
    ['k', 1e3],
  ] as const)
    if (count >= size) return `${(count / size).toFixed(count < 10 * size ? 1 : 0)} ${unit}`;
  return String(Math.round(count));
}

/** '1.2 MB', in units of 1000. */
export function bytesText(bytes: number): string {
  const text = countText(bytes);
  return bytes < 1000 ? `${text} B` : `${text}B`;
}

/** '42 s', '5 min', '1 h 20 min'. */
export function secondsText(seconds: number): string {
  if (seconds < 60) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Size of the written file, else of the weights at their bits. */
export function sizeOf(cost: ModelCost): number {
  return cost.brotliBytes ?? cost.fileBytes ?? cost.weightBytes;
}

/** '−71 % MACs, −0.2 pt': what a run achieved; undefined before it scored anything. */
export function achievementText(run: RunSummary, candidate: Candidate | undefined = run.best): string | undefined {
  const original = originalOf(run, candidate);
  if (!original || !candidate) return undefined;
  const parts = [];
  if (candidate.cost.macs !== original.cost.macs) parts.push(t('{0} MACs', changeText(original.cost.macs, candidate.cost.macs)));
  // Quantisation leaves the MACs; bytes are then what fell.
  if (parts.length === 0 || candidate.stage !== 'prune') {
    const [before, after] = [original.cost.weightBytes, candidate.cost.weightBytes];
    if (after !== before) parts.push(t('{0} bytes', changeText(before, after)));
  }
  if (parts.length === 0) parts.push(t('{0} MACs', '±0 %'));
  return `${parts.join(', ')}, ${pointsText(original.accuracy, candidate.accuracy)}`;
}
