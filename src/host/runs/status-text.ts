/** The status of a run in one word. */
import * as vscode from 'vscode';
import type { RunSummary } from '../../protocol/run-summary';

export function statusText({ status, paused, stopped }: Pick<RunSummary, 'status' | 'paused' | 'stopped'>): string {
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
