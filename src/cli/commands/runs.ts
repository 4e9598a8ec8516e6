/** `espalier runs`: the runs in a folder, newest first. */
import { resolve } from 'node:path';
import { formatPercent, formatSeconds } from '../../engine/search/figures';
import { listRunFolders } from '../../engine/search/run-folder';
import { readRunSnapshot } from '../../engine/search/snapshot';
import { tableText } from '../table';

export async function runs(folders: readonly string[], options: { json?: boolean }): Promise<void> {
  const parents = (folders.length > 0 ? folders : ['.espalier/runs']).map((f) => resolve(f));
  const summaries = listRunFolders(parents).flatMap((f) => readRunSnapshot(f.path)?.summary ?? []);
  if (options.json) {
    for (const s of summaries) process.stdout.write(`${JSON.stringify(s)}\n`);
    return;
  }
  if (summaries.length === 0) {
    process.stdout.write(`no runs in ${parents.join(', ')}\n`);
    return;
  }
  const rows = summaries.map((s) => [
    s.id,
    s.method,
    s.status === 'finished' ? (s.goalMet ? 'finished, goal met' : 'finished, goal not met') : s.elsewhere ? 'running' : s.status,
    s.original ? formatPercent(s.original.accuracy) : '',
    s.best ? formatPercent(s.best.accuracy) : '',
    s.best && s.original ? formatPercent(s.best.cost.macs / s.original.cost.macs, 1) : '',
    formatSeconds(s.secondsElapsed),
  ]);
  process.stdout.write(`${tableText([['run', 'method', 'status', 'before', 'best', 'MACs', 'time'], ...rows])}\n`);
  const open = summaries.find((s) => s.resumable);
  if (open) process.stdout.write(`\nGo on with one: espalier resume ${open.folder}\n`);
}
