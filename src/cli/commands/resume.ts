/** `espalier resume <run>`: goes on with a run that was stopped or killed. A finished one says so, which is no error. */
import { dirname, resolve } from 'node:path';
import { isFinished, resumeRun } from '../../engine/search/run';
import { RunFolder } from '../../engine/search/run-folder';
import { printResult, shownRun } from '../run-command';
import { threadFiles } from '../threads';

export async function resume(path: string, options: { data?: readonly string[]; json?: boolean }): Promise<number> {
  const json = options.json === true;
  const folder = RunFolder.open(path);
  if (isFinished(path)) {
    const message = `${folder.id} is finished: there is nothing to resume. Its report is ${folder.report}.`;
    process.stdout.write(
      json ? `${JSON.stringify({ type: 'finished-already', run: folder.path, report: folder.report })}\n` : `${message}\n`,
    );
    return 0;
  }
  const dataFolder = options.data?.map((d) => resolve(d)).at(-1);
  const run = await shownRun({ json, runsFolder: dirname(folder.path), folder: folder.path }, (shown) =>
    resumeRun(path, { dataFolder, threads: threadFiles(), ...shown }),
  );
  return printResult(run, json);
}
