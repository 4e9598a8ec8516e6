/**
 * Imports a module of the user's in a thread of its own, whose modules are all fresh: Node keeps what it has loaded once, so that this
 * process would go on with the old text of a module, or of one it imports, after an edit.
 */
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { UserError } from '../engine/errors';
import type { ImportDefinitionParams } from '../protocol/worker-messages';

export type DefinitionAnswer = { readonly done: true } | { readonly message: string; readonly hint?: string; readonly stack?: string };

/**
 * Writes the model that the module builds to `params.to`.
 * @throws UserError naming the file, the export or the layer, and the next step; the signal's reason where it is aborted, which ends the module
 */
export async function importDefinition(params: ImportDefinitionParams, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const thread = new Worker(join(__dirname, 'definition-thread.js'), { workerData: params });
  try {
    await new Promise<void>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
      thread.on('message', (answer: DefinitionAnswer) => {
        if ('done' in answer) resolve();
        else if (answer.stack === undefined) reject(new UserError(answer.message, answer.hint));
        else reject(Object.assign(new Error(answer.message), { stack: answer.stack }));
      });
      thread.on('error', (cause) => reject(new UserError(`${params.file} cannot be loaded: ${cause.message}`, undefined, { cause })));
      thread.on('exit', (code) =>
        reject(new UserError(`${params.file} ended its thread (exit code ${code})`, 'A module that is imported must not end the process.')),
      );
    });
  } finally {
    await thread.terminate();
  }
}
