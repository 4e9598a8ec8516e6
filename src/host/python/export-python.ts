/** Runs media/python/export_model.py with the user's interpreter. */
import { spawn } from 'node:child_process';
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import * as vscode from 'vscode';
import type { DefinitionKind } from '../lenses/definition-scan';
import { HostProblem } from '../problems';
import { shownPath } from '../workspace-files';
import { readAnswer } from './export-answer';
import { findInterpreter } from './interpreter';

export interface PythonExport {
  /** Absolute paths. */
  readonly file: string;
  readonly name: string;
  readonly kind: DefinitionKind;
  readonly arguments: string;
  readonly inputShape?: readonly number[];
  readonly weights?: string;
  readonly to: string;
}

/** @throws HostProblem naming what is missing and what to do; CancellationError */
export async function exportPython(
  request: PythonExport,
  script: string,
  log: vscode.LogOutputChannel,
  token: vscode.CancellationToken,
): Promise<void> {
  const interpreter = await findInterpreter(vscode.Uri.file(request.file));
  await mkdir(dirname(request.to), { recursive: true });
  log.info(`exporting ${request.name} of ${request.file} with ${interpreter.path} (${interpreter.from})`);
  const output = await runPython(interpreter.path, [script, JSON.stringify(request)], dirname(request.file), log, token);
  const read = readAnswer(output);
  if (!read)
    throw new HostProblem(
      vscode.l10n.t('{0} ended without an answer while it exported {1}.', interpreter.path, request.name),
      vscode.l10n.t('The log has what it printed.'),
    );
  if (read.printed !== '') log.info(read.printed);
  if ('error' in read.answer) throw new HostProblem(read.answer.error, read.answer.hint);
  const packages = Object.entries(read.answer.packages).map(([name, version]) => `${name} ${version}`);
  log.info(`exported ${shownPath(read.answer.path)} (${packages.join(', ')})`);
}

function runPython(
  path: string,
  args: readonly string[],
  folder: string,
  log: vscode.LogOutputChannel,
  token: vscode.CancellationToken,
): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(path, args, { cwd: folder, env: { ...process.env, PYTHONIOENCODING: 'utf-8' }, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (data: Buffer) => {
      output += data.toString();
    });
    child.stderr.on('data', (data: Buffer) => log.info(`python: ${data.toString().trimEnd()}`));
    const cancelled = token.onCancellationRequested(() => child.kill());
    child.once('error', (error: NodeJS.ErrnoException) => {
      cancelled.dispose();
      const message =
        error.code === 'ENOENT'
          ? vscode.l10n.t('There is no Python at {0}.', path)
          : vscode.l10n.t('{0} could not be started: {1}.', path, error.message);
      reject(new HostProblem(message, vscode.l10n.t('Select an interpreter in the Python extension, or set espalier.python.interpreter.')));
    });
    child.once('close', () => {
      cancelled.dispose();
      if (token.isCancellationRequested) reject(new vscode.CancellationError());
      else resolve(output);
    });
  });
}
