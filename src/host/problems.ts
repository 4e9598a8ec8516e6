/** Problems that a person can act on, and how they are shown. */
import * as vscode from 'vscode';
import { USER_ERROR_CODE, type UserErrorData } from './user-error-code';

/** One sentence naming the file, field or run, and the next step. */
export class HostProblem extends Error {
  constructor(
    message: string,
    readonly hint?: string,
  ) {
    super(message);
    this.name = 'HostProblem';
  }
}

interface UserProblem {
  readonly message: string;
  readonly hint?: string;
}

/** A problem of ours or of the worker's that is meant for people; undefined for a bug. */
export function userProblem(error: unknown): UserProblem | undefined {
  if (error instanceof HostProblem) return error;
  const response = error as { code?: unknown; data?: UserErrorData; message?: unknown } | null | undefined;
  if (response?.code === USER_ERROR_CODE && typeof response.message === 'string')
    return { message: response.message, ...(response.data?.hint === undefined ? {} : { hint: response.data.hint }) };
  return undefined;
}

/** Sentence and hint in one line. */
export function problemText(error: unknown): string {
  const problem = userProblem(error);
  if (problem) return problem.hint === undefined ? problem.message : `${problem.message} ${problem.hint}`;
  return error instanceof Error ? error.message : String(error);
}

export function isCancellation(error: unknown): boolean {
  // -32800 is JSON-RPC's answer to a request that was cancelled.
  return error instanceof vscode.CancellationError || (error as { code?: unknown } | undefined)?.code === -32800;
}

/** Shows a problem without waiting for an answer. Cancellation is no problem and is not shown. */
export function showProblem(error: unknown, log: vscode.LogOutputChannel): void {
  if (isCancellation(error)) return;
  const known = userProblem(error);
  if (known) log.warn(problemText(error));
  else log.error(error instanceof Error ? error : String(error));
  const text = known ? problemText(error) : vscode.l10n.t('Espalier failed: {0}. This is a bug.', problemText(error));
  const showLog = vscode.l10n.t('Show Log');
  const copy = vscode.l10n.t('Copy Diagnostics');
  const choices = known ? [showLog] : [showLog, copy];
  vscode.window.showErrorMessage(text, ...choices).then((choice) => {
    if (choice === showLog) log.show();
    else if (choice === copy) vscode.commands.executeCommand('espalier.copyDiagnostics');
  });
}
