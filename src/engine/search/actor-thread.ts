/** Entry of an actor's worker thread: one message in, one answer out, in order. */
import { parentPort, workerData } from 'node:worker_threads';
import { UserError } from '../errors';
import { type ActorSetup, type ActorTask, CompressionActor } from './actor';

export type ThreadRequest = { readonly id: number; readonly task: ActorTask } | { readonly id: number; readonly dispose: true };
export interface ThreadAnswer {
  readonly id: number;
  readonly result?: unknown;
  readonly error?: { readonly message: string; readonly hint?: string; readonly stack?: string; readonly user: boolean };
}

const actor = new CompressionActor(workerData as ActorSetup);
let last: Promise<void> = Promise.resolve();

parentPort!.on('message', (request: ThreadRequest) => {
  last = last.then(async () => {
    let answer: ThreadAnswer;
    try {
      if ('dispose' in request) {
        await actor.dispose();
        answer = { id: request.id };
      } else {
        answer = { id: request.id, result: await actor.run(request.task) };
      }
    } catch (e) {
      const error = e as Error;
      answer = {
        id: request.id,
        error: {
          message: error.message,
          stack: error.stack,
          user: e instanceof UserError,
          hint: e instanceof UserError ? e.hint : undefined,
        },
      };
    }
    parentPort!.postMessage(answer);
    if ('dispose' in request) parentPort!.close();
  });
});
