/**
 * The journal of a run: one JSON line an event, only ever appended to. It is what a run is resumed from: every measurement is in it
 * under a key that says what was measured, so a run that starts again finds what is already known instead of measuring it.
 */
import { closeSync, existsSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import type { RunEvent } from '../../protocol/run-events';
import { diskError } from './atomic-file';

/** Events of a journal file; a last line cut short by a crash is left out. `length` is the byte length of the whole lines. */
export function readJournal(path: string): { events: RunEvent[]; length: number } {
  const events: RunEvent[] = [];
  if (!existsSync(path)) return { events, length: 0 };
  const bytes = readFileSync(path);
  let from = 0;
  for (;;) {
    const end = bytes.indexOf(10, from);
    if (end < 0) break;
    try {
      events.push(JSON.parse(bytes.toString('utf8', from, end)) as RunEvent);
    } catch {
      // A line written half before a crash and half after would lie here; everything from it on is measured again.
      break;
    }
    from = end + 1;
  }
  return { events, length: from };
}

export class Journal {
  private readonly known = new Map<string, unknown>();
  private readonly fd: number;
  /** Bytes of whole lines. */
  private length: number;
  /** Events that were there when the journal was opened. */
  readonly earlier: readonly RunEvent[];

  /** Opens a journal to append to; a line cut short is removed first. */
  constructor(
    readonly path: string,
    /** Called after each event was written. */
    private readonly onEvent: (event: RunEvent) => void = () => {},
  ) {
    const { events, length } = readJournal(path);
    this.earlier = events;
    for (const e of events) this.learn(e);
    try {
      this.fd = openSync(path, 'a');
      ftruncateSync(this.fd, length);
    } catch (cause) {
      throw diskError(path, cause);
    }
    this.length = length;
  }

  /** @throws UserError where the disk refuses; the lines before stay whole */
  append(event: RunEvent): void {
    const line = new TextEncoder().encode(`${JSON.stringify(event)}\n`);
    try {
      for (let at = 0; at < line.byteLength; ) at += writeSync(this.fd, line, at, line.byteLength - at);
    } catch (cause) {
      // What was written of the line goes, so that a later line (the disk may have room again) does not end up behind half of this one.
      try {
        ftruncateSync(this.fd, this.length);
      } catch {
        // The next process removes it when it opens the journal.
      }
      throw diskError(this.path, cause);
    }
    this.length += line.byteLength;
    this.learn(event);
    this.onEvent(event);
  }

  /** The stored result under a key, if there is one. */
  recall<T>(key: string): T | undefined {
    return this.known.get(key) as T | undefined;
  }

  close(): void {
    closeSync(this.fd);
  }

  private learn(event: RunEvent): void {
    if (event.type === 'measurement') this.known.set(event.key, event.result);
    else if (event.type === 'evaluation') this.known.set(event.key, event.outcome);
  }
}
