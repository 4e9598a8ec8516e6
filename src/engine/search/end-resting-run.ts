/** Ends a run that nobody works on: one that was paused or broken off, and with which its person is done. */
import type { RunEvent } from '../../protocol/run-events';
import { Journal, readJournal } from './journal';
import { RunFolder } from './run-folder';
import { RunLock } from './run-lock';
import { interruptionOf, RunEnded } from './run-stopped';

/**
 * Writes the end into the journal of the run at `path`.
 * @returns the event; undefined where the run has its end already
 * @throws UserError where the folder holds no run, or another process works on it
 */
export function endRestingRun(path: string): RunEvent | undefined {
  const folder = RunFolder.open(path);
  const { events } = readJournal(folder.journal);
  const last = events.at(-1);
  if (last?.type === 'finished' || last?.type === 'failed' || (last?.type === 'interrupted' && last.ended)) return undefined;
  const lock = RunLock.take(folder.lock);
  try {
    const journal = new Journal(folder.journal);
    try {
      const seconds = events.reduce((most, event) => Math.max(most, event.seconds ?? 0), 0);
      const event: RunEvent = { ...interruptionOf(AbortSignal.abort(new RunEnded())), seconds };
      journal.append(event);
      return event;
    } finally {
      journal.close();
    }
  } finally {
    lock.release();
  }
}
