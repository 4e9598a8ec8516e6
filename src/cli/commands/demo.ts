/** `espalier demo`: trains LeNet-5 on generated digits, compresses it in both stages, and prints before → after. Needs no files. */
import { mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import example from '../../../docs/examples/lenet5-digits.espalier.json';
import { writeFileAtomic } from '../../engine/search/atomic-file';
import { formatBytes, formatSeconds } from '../../engine/search/figures';
import { startRun } from '../../engine/search/run';
import { configSchema } from '../../protocol/config';
import { wholeNumber } from '../numbers';
import { printResult, shownRun } from '../run-command';
import { threadFiles } from '../threads';
import { shownTraining } from '../training-run';

export async function demo(options: { out?: string; seed?: string; json?: boolean }): Promise<number> {
  const json = options.json === true;
  const folder = resolve(options.out ?? 'demo-run');
  const started = performance.now();
  const seed = wholeNumber(options.seed, '--seed') ?? example.seed;
  mkdirSync(folder, { recursive: true });
  const written = { ...example, output: { folder: 'runs' }, seed };
  const configPath = join(folder, 'lenet5.espalier.json');
  writeFileAtomic(configPath, `${JSON.stringify(written, null, 2)}\n`);
  const config = configSchema.parse(written);
  await shownTraining(config, { folder, json });
  const run = await shownRun({ json, runsFolder: join(folder, 'runs') }, (shown) =>
    startRun(config, { folder, configPath, threads: threadFiles(), ...shown }),
  );
  const code = printResult(run, json);
  if (!json) {
    const seconds = (performance.now() - started) / 1000;
    // Node reports the peak in kilobytes.
    const peak = process.resourceUsage().maxRSS * 1024;
    process.stdout.write(`${formatSeconds(seconds)}, peak memory ${formatBytes(peak)}.\n`);
  }
  return code;
}
