/** What `compress`, `resume` and `demo` have in common: a run with its progress shown, and its result printed. */
import { join, resolve } from 'node:path';
import { formatCount } from '../engine/search/figures';
import { comparisonRows } from '../engine/search/report';
import type { RunResult } from '../engine/search/run';
import type { RunEvent } from '../protocol/run-events';
import { ExitCode } from './exit-codes';
import { interruptible } from './interrupt';
import { ProgressLine, showRun } from './progress-line';
import { tableText } from './table';

/** Events that are only for resuming. */
const INTERNAL = new Set<RunEvent['type']>(['measurement', 'evaluation']);

export interface ShownRun {
  readonly json: boolean;
  /** Folder of run folders, to say how to go on when it is stopped. */
  readonly runsFolder: string;
  /** The run's own folder, where it is known already. */
  readonly folder?: string;
}

/** Runs and shows progress; with `json`, every event is a line on standard output. */
export async function shownRun(
  { json, runsFolder, folder: known }: ShownRun,
  run: (options: { signal: AbortSignal; listener: (event: RunEvent) => void }) => Promise<RunResult>,
): Promise<RunResult> {
  const line = new ProgressLine();
  const show = showRun(line);
  let folder = known;
  const listener = (event: RunEvent): void => {
    if (event.type === 'header') folder = join(resolve(runsFolder), event.id);
    if (!json) show(event);
    else if (!INTERNAL.has(event.type)) process.stdout.write(`${JSON.stringify(event)}\n`);
  };
  try {
    return await interruptible(
      (signal) => run({ signal, listener }),
      () => folder && `espalier resume ${quoted(folder)}`,
    );
  } finally {
    line.clear();
  }
}

const quoted = (path: string): string => (/[\s"'$]/.test(path) ? `"${path}"` : path);

/** Prints the outcome and returns the exit code. */
export function printResult(run: RunResult, json: boolean): number {
  if (json) {
    process.stdout.write(`${JSON.stringify({ type: 'result', ...run })}\n`);
  } else {
    process.stdout.write(`${resultText(run)}\n`);
  }
  return run.goalMet ? ExitCode.ok : ExitCode.goalNotMet;
}

export function resultText(run: RunResult): string {
  const { result } = run;
  const layers = result.layers.map((l) => [
    l.name,
    l.channelsAfter === l.channelsBefore ? `${l.channelsBefore}` : `${l.channelsBefore} → ${l.channelsAfter}`,
    `${(100 * (1 - l.channelsAfter / l.channelsBefore)).toFixed(0)} %`,
    l.bits === 32 ? 'float' : `${l.bits}`,
    l.effectiveParams === l.params ? formatCount(l.params) : `${formatCount(l.params)} (${formatCount(l.effectiveParams)} not zero)`,
  ]);
  return [
    '',
    tableText([['', 'before', 'after'], ...comparisonRows(result)]),
    '',
    tableText([['layer', 'channels', 'pruned', 'bits', 'parameters'], ...layers]),
    '',
    `${result.arithmetic}.`,
    `Goal ${run.goalMet ? 'met' : 'not met'}${run.reason === 'complete' ? '' : ` (ended by ${run.reason})`}.`,
    `Model:  ${result.after.path}`,
    `Report: ${join(run.folder, 'report.md')}`,
  ].join('\n');
}
