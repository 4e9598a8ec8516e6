/** `espalier data <name>`: downloads a data set, checked against its published sum. */
import { resolve } from 'node:path';
import { datasetOrigins, type FetchableDataset, fetchDataset } from '../../engine/data/fetch';
import { UserError } from '../../engine/errors';
import { formatBytes } from '../../engine/search/figures';
import { interruptible } from '../interrupt';
import { ProgressLine } from '../progress-line';

export async function data(name: string, options: { to?: string; json?: boolean }): Promise<void> {
  const names = Object.keys(datasetOrigins);
  if (!names.includes(name)) throw new UserError(`there is no data set '${name}' to download`, `Known: ${names.join(', ')}.`);
  const to = resolve(options.to ?? process.env['ESPALIER_DATA'] ?? 'data');
  const line = new ProgressLine();
  try {
    const folder = await interruptible((signal) =>
      fetchDataset(name as FetchableDataset, to, {
        signal,
        onProgress: (p) => {
          if (!options.json) line.show(`${p.url} · ${formatBytes(p.received)}${p.total ? ` of ${formatBytes(p.total)}` : ''}`);
        },
      }),
    );
    line.clear();
    process.stdout.write(
      options.json
        ? `${JSON.stringify({ name, folder, dataFolder: to })}\n`
        : `${folder}\nUse it with --data ${to}, or set ESPALIER_DATA=${to}\n`,
    );
  } finally {
    line.clear();
  }
}
