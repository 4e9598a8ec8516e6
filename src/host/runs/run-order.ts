/** Order and state of runs in lists. */
import type { RunSummary } from '../../protocol/run-summary';

export function isActive(run: RunSummary): boolean {
  return run.status === 'running' || run.status === 'queued';
}

/** Those under way first, then the newest first. */
export function newestFirst(runs: Iterable<RunSummary>): RunSummary[] {
  return [...runs].sort(
    (a, b) => Number(isActive(b)) - Number(isActive(a)) || (a.startedAt < b.startedAt ? 1 : a.startedAt > b.startedAt ? -1 : 0),
  );
}
