/** The status and the phase of a run in a word or two. */
import * as vscode from 'vscode';
import type { Phase } from '../../protocol/run-events';
import { type ShownStatus, shownStatus } from '../../protocol/shown-status';

export function statusText(run: Parameters<typeof shownStatus>[0]): string {
  const words: Readonly<Record<ShownStatus, string>> = {
    queued: vscode.l10n.t('queued'),
    running: vscode.l10n.t('running'),
    finished: vscode.l10n.t('finished'),
    interrupted: vscode.l10n.t('interrupted'),
    failed: vscode.l10n.t('failed'),
    paused: vscode.l10n.t('paused'),
    stopped: vscode.l10n.t('stopped'),
    elsewhere: vscode.l10n.t('running in another process'),
  };
  return words[shownStatus(run)];
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
