/** `espalier sensitivity <model|config>`: accuracy with each group pruned alone and each layer quantised alone; printed, and as a report with curves. */
import { join, resolve } from 'node:path';
import { UserError } from '../../engine/errors';
import type { ChannelGroup } from '../../engine/graph/channel-group';
import { chooseData } from '../../engine/search/choose-data';
import { formatPercent, formatSeconds } from '../../engine/search/figures';
import { prepare } from '../../engine/search/prepare';
import { modelName } from '../../engine/search/run-folder';
import { SENSITIVITY_BITS, SENSITIVITY_RATIOS, scanSensitivity, sensitivityFolder } from '../../engine/search/sensitivity';
import { writeSensitivityReport } from '../../engine/search/sensitivity-report';
import type { Sensitivity } from '../../protocol/layer-graph';
import { type ConfigOptions, configFrom } from '../config-input';
import { interruptible } from '../interrupt';
import { ProgressLine } from '../progress-line';
import { tableText } from '../table';
import { threadFiles } from '../threads';

export interface SensitivityCommandOptions extends ConfigOptions {
  readonly images?: string;
  readonly ratios?: string;
  readonly bits?: string;
  readonly groups?: string;
  readonly layers?: string;
  readonly selection?: string;
  readonly reconstruct?: boolean;
  readonly multiple?: string;
  readonly refresh?: boolean;
  /** Folder of the report. */
  readonly out?: string;
  readonly json?: boolean;
}

export async function sensitivity(path: string, options: SensitivityCommandOptions): Promise<void> {
  const ratios = numbers(options.ratios, '--ratios', (r) => r > 0 && r < 1, 'above 0 and below 1') ?? SENSITIVITY_RATIOS;
  const bits = numbers(options.bits, '--bits', (b) => Number.isInteger(b) && b >= 1 && b <= 8, 'from 1 to 8') ?? SENSITIVITY_BITS;
  const [images] = numbers(options.images, '--images', (n) => Number.isInteger(n) && n > 0, 'a whole number above 0') ?? [];
  const [multiple] = numbers(options.multiple, '--multiple', (n) => Number.isInteger(n) && n > 0, 'a whole number above 0') ?? [];
  const { config, folder, dataFolder, notes } = await configFrom(path, { ...options, out: undefined }, chooseData);
  const line = new ProgressLine();
  let scan: Sensitivity;
  let groups: readonly ChannelGroup[] = [];
  try {
    scan = await interruptible(
      async (signal) => {
        const prepared = await prepare(config, { folder, dataFolder, threads: config.threads, signal });
        groups = prepared.groups;
        if (!options.json) for (const n of [...notes, ...prepared.notes]) line.note(`note: ${n}`);
        return scanSensitivity(prepared, config, {
          images,
          ratios,
          bits,
          groups: names(options.groups),
          layers: names(options.layers),
          selection: options.selection,
          reconstruct: options.reconstruct,
          widthMultiple: multiple,
          refresh: options.refresh,
          cacheFolder: sensitivityFolder(folder),
          threadFile: threadFiles().sensitivity,
          signal,
          onProgress: (s) => {
            if (!options.json)
              line.show(`sensitivity · ${s.done} of ${s.total} points · ${formatSeconds((s.seconds / s.done) * (s.total - s.done))} left`);
          },
        });
      },
      () => 'the same command again: what was measured is kept',
    );
  } finally {
    line.clear();
  }
  const out = options.out === undefined ? join(sensitivityFolder(folder), modelName(scan.modelPath)) : resolve(options.out);
  const { report, image } = writeSensitivityReport(out, scan, groups);
  process.stdout.write(
    options.json ? `${JSON.stringify({ ...scan, report, image })}\n` : `${sensitivityText(scan)}\n\nReport: ${report}\nCurves: ${image}\n`,
  );
}

function numbers(text: string | undefined, option: string, valid: (n: number) => boolean, what: string): number[] | undefined {
  return text?.split(',').map((part) => {
    const n = Number(part);
    if (part.trim() === '' || !valid(n)) throw new UserError(`${option}: '${part}' is not ${what}`);
    return n;
  });
}

/** A list of names; 'none' for an empty one. */
const names = (text: string | undefined): string[] | undefined => (text === 'none' ? [] : text?.split(',').map((n) => n.trim()));

export function sensitivityText(scan: Sensitivity): string {
  const ratios = [...new Set(scan.groups.flatMap((g) => g.points.map((p) => p.ratio)))].sort((a, b) => a - b);
  const bits = [...new Set(scan.layers.flatMap((l) => l.points.map((p) => p.bits)))].sort((a, b) => a - b);
  const lines = [`${scan.measure} ${formatPercent(scan.baseline)} on ${scan.images} held-out samples; in ${formatSeconds(scan.seconds)}`];
  if (scan.groups.length > 0) {
    const rows = scan.groups.map((g) => [
      g.group,
      ...ratios.map((r) => {
        const point = g.points.find((p) => p.ratio === r);
        return point ? `${(100 * point.accuracy).toFixed(1)} (${point.channels})` : '';
      }),
    ]);
    lines.push(
      '',
      'One group pruned alone: % (channels left), by the share removed; ratios that round to the same width stand once',
      tableText(
        [['group', ...ratios.map(String)], ...rows],
        ratios.map((_, i) => i + 1),
      ),
    );
  }
  if (scan.layers.length > 0) {
    const rows = scan.layers.map((l) => [
      l.layer,
      ...bits.map((b) => {
        const point = l.points.find((p) => p.bits === b);
        return point ? (100 * point.accuracy).toFixed(1) : '';
      }),
    ]);
    lines.push(
      '',
      'One layer quantised alone: %, by bits',
      tableText(
        [['layer', ...bits.map(String)], ...rows],
        bits.map((_, i) => i + 1),
      ),
    );
  }
  return lines.join('\n');
}
