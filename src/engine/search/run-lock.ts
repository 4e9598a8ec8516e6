/** One process at a time works on a run folder: two would write one journal. The file `run.lock` says which process that is. */
import { randomUUID } from 'node:crypto';
import { closeSync, linkSync, openSync, readFileSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { UserError } from '../errors';
import { diskError, TEMPORARY } from './atomic-file';

interface Holder {
  readonly pid: number;
  /** Which process had that number, where the system tells: numbers are given out again, soonest in containers. */
  readonly started?: string;
  /** Since when, as an ISO date, for people. */
  readonly since: string;
}

export class RunLock {
  private constructor(
    private readonly path: string,
    private readonly content: string,
  ) {}

  /**
   * Takes the lock at `path`, over a dead process if need be. Processes of other machines cannot be asked and count as dead.
   * @throws UserError naming the process that holds it
   */
  static take(path: string): RunLock {
    const holder: Holder & { readonly token: string } = {
      pid: process.pid,
      started: processStart(process.pid) ?? undefined,
      since: new Date().toISOString(),
      token: randomUUID(),
    };
    const lock = new RunLock(path, `${JSON.stringify(holder)}\n`);
    // A second try follows on each stale lock that was cleared away; who is beaten to it finds a living holder then.
    for (let tries = 0; tries < 3; tries++) {
      if (lock.create()) return lock;
      const found = contentOf(path);
      if (found === undefined) continue;
      const other = holderIn(found);
      if (other && isAlive(other)) throw heldBy(path, other);
      clear(path, found);
    }
    throw heldBy(path, holderIn(contentOf(path) ?? ''));
  }

  /** Gives the lock back; leaves one alone that is no longer this one. */
  release(): void {
    if (contentOf(this.path) === this.content) rmSync(this.path, { force: true });
  }

  /** False where there is a lock already. */
  private create(): boolean {
    let fd: number | undefined;
    try {
      fd = openSync(this.path, 'wx');
      writeSync(fd, this.content);
      closeSync(fd);
      return true;
    } catch (cause) {
      if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false;
      if (fd !== undefined) {
        closeSync(fd);
        rmSync(this.path, { force: true });
      }
      throw diskError(this.path, cause);
    }
  }
}

/** Whether a living process holds the lock at `path`, this one included. */
export function isHeld(path: string): boolean {
  const holder = holderIn(contentOf(path) ?? '');
  return holder !== undefined && isAlive(holder);
}

/** Removes a stale lock, unless another process has put its own there since `seen` was read. */
function clear(path: string, seen: string): void {
  const aside = `${path}.${process.pid}${TEMPORARY}`;
  try {
    renameSync(path, aside);
    // Not a rename back: that would go over a lock that is newer still.
    if (readFileSync(aside, 'utf8') !== seen) linkSync(aside, path);
  } catch {
    // Whatever has become of it, the next try sees.
  }
  rmSync(aside, { force: true });
}

const contentOf = (path: string): string | undefined => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
};

/** Undefined where the content is no lock: a process that was killed while it wrote one. */
function holderIn(content: string): Holder | undefined {
  try {
    const holder = JSON.parse(content) as Partial<Holder> | null;
    return holder && Number.isInteger(holder.pid) && holder.pid! > 0 ? (holder as Holder) : undefined;
  } catch {
    return undefined;
  }
}

function isAlive({ pid, started }: Holder): boolean {
  try {
    process.kill(pid, 0);
  } catch (e) {
    // Not allowed to signal it: it is somebody else's, and alive.
    return (e as NodeJS.ErrnoException).code === 'EPERM';
  }
  const now = processStart(pid);
  return now !== null && (now === undefined || started === undefined || now === started);
}

/** When a process started, as Linux tells it; null where it has ended; undefined on other systems. */
function processStart(pid: number): string | null | undefined {
  if (process.platform !== 'linux') return undefined;
  try {
    // proc(5): pid (name) state …; the name may hold blanks and brackets. The start time is field 22.
    const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\)\s/s, '')
      .split(' ');
    // A zombie has ended, though its number is not free yet.
    return fields[0] === 'Z' || fields[0] === 'X' ? null : `${bootId()}:${fields[19]}`;
  } catch (e) {
    const { code } = e as NodeJS.ErrnoException;
    return code === 'ENOENT' || code === 'ESRCH' ? null : undefined;
  }
}

/** Which start of the machine it is: start times count from there. */
const bootId = (): string => contentOf('/proc/sys/kernel/random/boot_id')?.trim() ?? '';

const heldBy = (path: string, holder: Holder | undefined): UserError =>
  new UserError(
    `${dirname(path)} is being worked on by ${holder ? `process ${holder.pid}, since ${holder.since}` : 'another process'}`,
    'Stop that one first, or wait until it has finished.',
  );
