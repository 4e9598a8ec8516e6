import type { RunSnapshot, RunSummary } from '../../../protocol/run-summary';

/** A run of which nothing is known but its summary. */
export const snapshotOf = (summary: RunSummary): RunSnapshot => ({
  revision: 1,
  summary,
  progress: null,
  machine: null,
  measures0: null,
  current: null,
  candidates: [],
  front: [],
  episodes: [],
  diagnostics: [],
  warnings: [],
});
