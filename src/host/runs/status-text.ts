/** The status and the phase of a run in a word or two. */
import * as vscode from 'vscode';
import type { Phase } from '../../protocol/run-events';
import type { RunSummary } from '../../protocol/run-summary';

export function statusText({
  status,
  paused,
  stopped,
  elsewhere,
}: Pick<RunSummary, 'status' | 'paused' | 'stopped' | 'elsewhere'>): string {
  if (elsewhere) return vscode.l10n.t('running in another process');
  switch (status) {
    case 'queued':
      return vscode.l10n.t('queued');
    case 'running':
      return vscode.l10n.t('running');
    case 'finished':
      return vscode.l10n.t('finished');
    case 'interrupted':
      if (stopped) return vscode.l10n.t('stopped');
      return paused ? vscode.l10n.t('paused') : vscode.l10n.t('interrupted');
    case 'failed':
      return vscode.l10n.t('failed');
  }
}

export function phaseText(phase: Phase): string {
  const words: Readonly<Record<Phase, string>> = {
    prepare: vscode.l10n.t('preparing'),
    prune: vscode.l10n.t('pruning search'),
    reconstruct: vscode.l10n.t('reconstructing'),
    quantize: vscode.l10n.t('bit-width search'),
    recover: vscode.l10n.t('fine-tuning'),
    export: vscode.l10n.t('exporting'),
    report: vscode.l10n.t('writing the report'),
  };
  return words[phase];
}
