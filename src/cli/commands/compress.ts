/** `espalier compress <model|config>`: a whole run. */
import { resolve } from 'node:path';
import { chooseData } from '../../engine/search/choose-data';
import { startRun } from '../../engine/search/run';
import { type ConfigOptions, configFrom } from '../config-input';
import { printResult, shownRun } from '../run-command';
import { threadFiles } from '../threads';

export async function compress(path: string, options: ConfigOptions & { json?: boolean }): Promise<number> {
  const json = options.json === true;
  const input = await configFrom(path, options, chooseData);
  if (!json) for (const note of input.notes) process.stderr.write(`${note}\n`);
  const { config, folder, configPath, dataFolder } = input;
  const run = await shownRun({ json, runsFolder: resolve(folder, config.output.folder) }, (shown) =>
    startRun(config, { folder, configPath, dataFolder, threads: threadFiles(), ...shown }),
  );
  return printResult(run, json);
}
