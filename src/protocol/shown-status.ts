/** How a run stands, as people are told of it; without the schemas, so that the editor starts without them. */
import type { RunStatus, RunSummary } from './run-summary';

/** The status as people are told of it. */
export type ShownStatus = RunStatus | 'paused' | 'stopped' | 'elsewhere';

/** What a person paused or stopped is not called interrupted, and neither is what another process works on. */
export function shownStatus({
  status,
  paused,
  stopped,
  elsewhere,
}: Pick<RunSummary, 'status' | 'paused' | 'stopped' | 'elsewhere'>): ShownStatus {
  if (elsewhere) return 'elsewhere';
  if (stopped) return 'stopped';
  return paused ? 'paused' : status;
}
