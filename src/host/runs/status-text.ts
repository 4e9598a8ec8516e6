/** The status of a run in one word. */
import * as vscode from 'vscode';
import type { RunSummary } from '../../protocol/run-summary';

export function statusText({ status, paused }: Pick<RunSummary, 'status' | 'paused'>): string {
  switch (status) {
    case 'queued':
      return vscode.l10n.t('queued');
    case 'running':
      return vscode.l10n.t('running');
    case 'finished':
      return vscode.l10n.t('finished');
    case 'interrupted':
      return paused ? vscode.l10n.t('paused') : vscode.l10n.t('interrupted');
    case 'failed':
      return vscode.l10n.t('failed');
  }
}
