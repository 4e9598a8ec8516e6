/** A sensitivity scan for people: a table for the groups and one for the layers in Markdown, and the curves beside it. */
import { dirname, join } from 'node:path';
import type { Sensitivity } from '../../protocol/layer-graph';
import { writeFileAtomic } from './atomic-file';
import { formatPercent } from './figures';
import { modelName } from './run-folder';
import { sensitivityFolder } from './sensitivity';
import { cachedSensitivity } from './sensitivity-cache';
import { type CurveGroup, sensitivityCurves } from './sensitivity-curves';

const IMAGE = 'sensitivity.svg';

/** What the figures of a scan were measured on, as one sentence. */
export function measuredOn({ measure, images, baseline, conditions }: Sensitivity): string {
  const error = Math.sqrt((baseline * (1 - baseline)) / images);
  const parts = [
    `${measure === 'accuracy' ? 'Accuracy' : 'Agreement with the original'} on ${images.toLocaleString('en-US')} held-out samples${conditions ? ` of ${conditions.data} (the first of the search split)` : ''}`,
    `the original: ${formatPercent(baseline)}, standard error ${(100 * error).toFixed(2)} points`,
  ];
  if (conditions) {
    parts.push(
      `channels chosen by ${conditions.selection}, ${conditions.reconstruct ? 'readers rebuilt by least squares' : 'nothing rebuilt'}`,
    );
    if (conditions.machine) parts.push(`begun on ${conditions.machine}`);
  }
  return `${parts.join('; ')}.`;
}

/** The tables, lines of Markdown. Groups that are not among `groups` show no number of channels. */
export function sensitivityTables(scan: Sensitivity, groups: readonly CurveGroup[]): string[] {
  const lines: string[] = [];
  const ratios = distinct(scan.groups.flatMap((g) => g.points.map((p) => p.ratio)));
  if (scan.groups.length > 0) {
    lines.push(
      'One group pruned alone: % (channels left), by the share of channels to remove. Ratios that round to the same width stand once.',
      '',
      ...table(
        ['group', 'channels', ...ratios.map((r) => String(Number(r.toFixed(3))))],
        scan.groups.map(({ group, points }) => [
          group,
          String(groups.find((g) => g.id === group)?.channels ?? ''),
          ...ratios.map((ratio) => {
            const point = points.find((p) => p.ratio === ratio);
            return point ? `${percent(point.accuracy)} (${point.channels})` : '';
          }),
        ]),
      ),
      '',
    );
  }
  const bits = distinct(scan.layers.flatMap((l) => l.points.map((p) => p.bits))).reverse();
  if (scan.layers.length > 0) {
    lines.push(
      'One layer quantised alone: %, by bits.',
      '',
      ...table(
        ['layer', ...bits.map(String)],
        scan.layers.map(({ layer, points }) => [
          layer,
          ...bits.map((b) => {
            const point = points.find((p) => p.bits === b);
            return point ? percent(point.accuracy) : '';
          }),
        ]),
      ),
      '',
    );
  }
  return lines;
}

/**
 * `sensitivity.md`.
 * @param groups the model's channel groups
 * @param image path of the curves, as seen from the report
 */
export function sensitivityReport(scan: Sensitivity, groups: readonly CurveGroup[], image: string = IMAGE): string {
  return [
    `# Sensitivity of ${modelName(scan.modelPath)}`,
    '',
    `Model \`${scan.modelPath}\`, SHA-256 ${scan.sha256.slice(0, 16)}…; ${scan.done === scan.total ? `${scan.total} points` : `${scan.done} of ${scan.total} points so far`}.`,
    '',
    measuredOn(scan),
    '',
    `![Curves: accuracy against channels removed and against bits, a chart for each channel group](${image})`,
    '',
    ...sensitivityTables(scan, groups),
  ].join('\n');
}

/** Writes `sensitivity.md` and `sensitivity.svg` into a folder, each whole or not at all. @returns their paths @throws UserError where the disk refuses */
export function writeSensitivityReport(
  folder: string,
  scan: Sensitivity,
  groups: readonly CurveGroup[],
): { readonly report: string; readonly image: string } {
  const files = { report: join(folder, 'sensitivity.md'), image: join(folder, IMAGE) };
  writeFileAtomic(files.image, curves(scan, groups));
  writeFileAtomic(files.report, sensitivityReport(scan, groups));
  return files;
}

/**
 * Section of a run's report: the cached scan of the very model that was compressed, where there is one beside the folder of runs
 * (`.espalier/runs`, `.espalier/sensitivity`) or of the model. Writes the curves into the run's folder.
 * @returns lines of Markdown; none where there is no such scan
 */
export function sensitivitySection(
  runFolder: string,
  { modelPath, sha256, groups }: { readonly modelPath: string; readonly sha256: string; readonly groups: readonly CurveGroup[] },
): string[] {
  const channels = new Map(groups.map((g) => [g.id, g.channels]));
  for (const folder of [join(dirname(dirname(runFolder)), 'sensitivity'), sensitivityFolder(dirname(modelPath))]) {
    const scan = cachedSensitivity(folder, sha256, channels);
    if (!scan || scan.done === 0) continue;
    writeFileAtomic(join(runFolder, IMAGE), curves(scan, groups));
    return [
      '## Sensitivity',
      '',
      measuredOn(scan),
      '',
      `![Curves of the sensitivity scan](${IMAGE})`,
      '',
      ...sensitivityTables(scan, groups),
    ];
  }
  return [];
}

const curves = (scan: Sensitivity, groups: readonly CurveGroup[]): string =>
  sensitivityCurves(scan, groups, `Sensitivity of ${modelName(scan.modelPath)}`, measuredOn(scan));

const distinct = (values: readonly number[]): number[] => [...new Set(values)].sort((a, b) => a - b);
const percent = (x: number): string => (100 * x).toFixed(1);

/** Columns behind the first are flush right. */
function table(head: readonly string[], rows: ReadonlyArray<readonly string[]>): string[] {
  const line = (cells: readonly string[]): string => `| ${cells.map((c) => c.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), `|${head.map((_, i) => (i === 0 ? '---' : '--:')).join('|')}|`, ...rows.map(line)];
}
