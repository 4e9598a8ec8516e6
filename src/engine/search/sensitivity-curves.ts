/** Curves of a sensitivity scan as one SVG: a small chart for each channel group, all with the same axes. */
import type { LayerSensitivity, Sensitivity } from '../../protocol/layer-graph';
import { formatPercent } from './figures';
import { escaped, INK, PALE, svg, tenth } from './svg';

/** What is drawn of a `ChannelGroup`: its id, how many channels it has, and which layers make or carry them. */
export interface CurveGroup {
  readonly id: string;
  readonly channels: number;
  readonly producers: ReadonlyArray<{ readonly layers: readonly string[] }>;
  readonly parameters: ReadonlyArray<{ readonly layers: readonly string[] }>;
}

const COLUMNS = 3;
const CELL = { width: 256, height: 164 };
/** Where the axes lie inside a cell, in pixels. */
const PLOT = { left: 54, top: 24, width: 190, height: 96 };
const MARGIN = 12;
const LINE = 16;
/** Characters that fit beside each other in the whole image, and above one chart. */
const CHARACTERS = 118;
const HEADING = 38;
const RATIO = 'stroke="#0969da" stroke-width="2" fill="none"';
const BITS = 'stroke="#bc4c00" stroke-width="1.5" stroke-dasharray="6 3" fill="none"';
const ORIGINAL = `stroke="${INK}" stroke-width="1.5" stroke-dasharray="1.5 3" fill="none"`;
const BIT_TICKS = [8, 6, 4, 2, 1];
const SHARE_TICKS = [0, 0.25, 0.5, 0.75, 1];

interface Chart {
  readonly name: string;
  readonly detail: string;
  /** Share of the channels removed (0 to 1) and accuracy; from the original at 0. */
  readonly ratios: ReadonlyArray<readonly [number, number]>;
  readonly layers: readonly LayerSensitivity[];
}

/**
 * @param measuredOn one sentence on what the points were measured on, which stands in the image
 * @returns an `<svg>` element without declaration, ids, styles or links, so that it may also be pasted into a page
 */
export function sensitivityCurves(scan: Sensitivity, groups: readonly CurveGroup[], title: string, measuredOn: string): string {
  const charts = chartsOf(scan, groups);
  const all = [
    scan.baseline,
    ...charts.flatMap((c) => [...c.ratios.map(([, a]) => a), ...c.layers.flatMap((l) => l.points.map((p) => p.accuracy))]),
  ];
  const low = Math.min(0.9, Math.floor(Math.min(...all) * 10) / 10);
  const high = Math.ceil(Math.max(...all, low + 0.1) * 10) / 10;
  const notes = wrapped(measuredOn, CHARACTERS);
  const top = MARGIN + LINE * (notes.length + 2) + 16;
  const width = 2 * MARGIN + COLUMNS * CELL.width;
  const height = top + Math.ceil(charts.length / COLUMNS) * CELL.height + MARGIN;
  const measure = scan.measure === 'accuracy' ? 'accuracy' : 'agreement with the original';
  const legendY = MARGIN + 2 * LINE - 8;
  return svg(width, height, title, [
    `<text x="${MARGIN}" y="${MARGIN + 10}" font-size="13" font-weight="bold">${escaped(shortened(title, 90))}</text>`,
    ...[
      [RATIO, `${measure}, one group pruned alone`],
      [BITS, 'one layer quantised alone'],
      [ORIGINAL, `the original, ${formatPercent(scan.baseline)}`],
    ].map(
      ([style, text], i) =>
        `<path d="M${MARGIN + [0, 320, 540][i]} ${legendY}h28" ${style}/><text x="${MARGIN + [0, 320, 540][i] + 34}" y="${legendY + 4}">${escaped(text)}</text>`,
    ),
    ...notes.map((text, i) => `<text x="${MARGIN}" y="${MARGIN + LINE * (i + 3) + 2}">${escaped(text)}</text>`),
    ...charts.map((chart, i) => {
      const x = MARGIN + (i % COLUMNS) * CELL.width;
      return `<g transform="translate(${x} ${top + Math.floor(i / COLUMNS) * CELL.height})">${drawn(chart, scan.baseline, low, high)}</g>`;
    }),
  ]);
}

/** A chart for each group, with the layers that make or carry its channels; then one for each layer that no group has. */
function chartsOf(scan: Sensitivity, groups: readonly CurveGroup[]): Chart[] {
  const charted = new Set<string>();
  const charts = groups.flatMap((group): Chart[] => {
    const names = new Set([...group.producers, ...group.parameters].flatMap((m) => m.layers));
    const layers = scan.layers.filter((l) => names.has(l.layer));
    const points = scan.groups.find((g) => g.group === group.id)?.points ?? [];
    if (points.length === 0) return [];
    for (const l of layers) charted.add(l.layer);
    const ratios = points.map((p): [number, number] => [1 - p.channels / group.channels, p.accuracy]).sort((a, b) => a[0] - b[0]);
    const detail = `${group.channels} channels${layers.length > 1 ? `, ${layers.length} layers` : ''}`;
    return [{ name: group.id, detail, ratios: [[0, scan.baseline], ...ratios], layers }];
  });
  const alone = scan.layers.filter((l) => !charted.has(l.layer));
  return [...charts, ...alone.map((l) => ({ name: l.layer, detail: 'bits only', ratios: [], layers: [l] }))];
}

function drawn({ name, detail, ratios, layers }: Chart, baseline: number, low: number, high: number): string {
  const { left, top, width, height } = PLOT;
  const bottom = top + height;
  const x = (share: number): number => tenth(left + share * width);
  const y = (accuracy: number): number => tenth(top + height * (1 - (accuracy - low) / (high - low)));
  // From 8 bits on the left to 1 on the right: further right is more compressed on both axes.
  const bitsX = (bits: number): number => x((8 - bits) / 7);
  const path = (points: ReadonlyArray<readonly [number, number]>, style: string): string =>
    points.length === 0
      ? ''
      : `<path d="${points.map(([px, py], i) => `${i === 0 ? 'M' : 'L'}${px} ${py}`).join('')}" ${style}/>${points.map(([px, py]) => `<circle cx="${px}" cy="${py}" r="2" fill="${/#\w+/.exec(style)![0]}"/>`).join('')}`;
  const text = (tx: number, ty: number, anchor: string, words: string): string =>
    `<text x="${tx}" y="${ty}" text-anchor="${anchor}" font-size="9">${escaped(words)}</text>`;
  const middle = (low + high) / 2;
  return [
    `<text x="6" y="14"><title>${escaped(name)}</title><tspan font-weight="bold">${escaped(shortened(name, HEADING - detail.length))}</tspan> ${escaped(detail)}</text>`,
    ...[low, middle, high].map(
      (a) => `<path d="M${left} ${y(a)}h${width}" stroke="${PALE}"/>${text(left - 4, y(a) + 3, 'end', `${tenth(100 * a)} %`)}`,
    ),
    `<path d="M${left} ${y(baseline)}h${width}" ${ORIGINAL}/>`,
    ...(ratios.length > 0 ? SHARE_TICKS.map((s) => text(x(s), bottom + 12, 'middle', String(s))) : []),
    ...(ratios.length > 0 ? [text(left - 8, bottom + 12, 'end', 'removed')] : []),
    ...(layers.length > 0 ? BIT_TICKS.map((b) => text(bitsX(b), bottom + 24, 'middle', String(b))) : []),
    ...(layers.length > 0 ? [text(left - 8, bottom + 24, 'end', 'bits')] : []),
    ...layers.map((l) =>
      path(
        [...l.points].sort((a, b) => b.bits - a.bits).map((p) => [bitsX(p.bits), y(p.accuracy)]),
        BITS,
      ),
    ),
    path(
      ratios.map(([share, accuracy]) => [x(share), y(accuracy)]),
      RATIO,
    ),
  ].join('');
}

/** The end of a long name tells layers apart, the beginning where they are: the middle goes. */
function shortened(text: string, most: number): string {
  const half = (most - 1) >> 1;
  return text.length <= most ? text : `${text.slice(0, half)}…${text.slice(-half)}`;
}

function wrapped(text: string, most: number): string[] {
  const lines = [''];
  for (const word of text.split(' ')) {
    const last = lines[lines.length - 1];
    if (last !== '' && last.length + word.length >= most) lines.push(word);
    else lines[lines.length - 1] = last === '' ? word : `${last} ${word}`;
  }
  return lines;
}
