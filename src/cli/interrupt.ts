/** Ctrl-C and SIGTERM as an AbortSignal: the first one stops cleanly, a second one at once. */
import { Interrupted } from './failures';

export interface Interruption {
  readonly signal: AbortSignal;
  /** Which signal came, if any. */
  received(): NodeJS.Signals | undefined;
  dispose(): void;
}

export function listenForInterrupts(): Interruption {
  const controller = new AbortController();
  let received: NodeJS.Signals | undefined;
  const handle = (signal: NodeJS.Signals): void => {
    if (received) process.exit(signal === 'SIGTERM' ? 143 : 130);
    received = signal;
    process.stderr.write('\nStopping after the work in flight; press Ctrl-C again to stop at once.\n');
    controller.abort(new Interrupted(signal));
  };
  const signals: NodeJS.Signals[] = ['SIGINT', 'SIGTERM'];
  for (const s of signals) process.on(s, handle);
  return {
    signal: controller.signal,
    received: () => received,
    dispose: () => {
      for (const s of signals) process.off(s, handle);
    },
  };
}

/** Runs work that Ctrl-C may stop. @param resume the command to go on with, asked for when it was stopped */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>, resume?: () => string | undefined): Promise<T> {
  const interruption = listenForInterrupts();
  try {
    return await work(interruption.signal);
  } catch (error) {
    const signal = interruption.received();
    if (signal) throw new Interrupted(signal, resume?.());
    throw error;
  } finally {
    interruption.dispose();
  }
}
