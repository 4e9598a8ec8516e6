/** Two small curves side by side: accuracy against prune ratio, and against bits. */
import type { GroupSensitivity, LayerSensitivity } from '../../protocol/layer-graph';

const WIDTH = 130;
const HEIGHT = 56;
const GAP = 24;
const TOP = 6;

type Point = readonly [x: number, accuracy: number];

/** SVG text in mid-grey and blue, which read on light and dark. `baseline` is the dashed line. */
export function sensitivityCurves(group: GroupSensitivity | undefined, bits: LayerSensitivity | undefined, baseline: number): string {
  const ratios: Point[] = (group?.points ?? []).map((p) => [p.ratio, p.accuracy]);
  const widths: Point[] = (bits?.points ?? []).map((p) => [(8 - p.bits) / 7, p.accuracy]);
  const lowest = Math.min(baseline, ...ratios.map(([, a]) => a), ...widths.map(([, a]) => a));
  // At least ten points high, so that noise looks small.
  const low = Math.max(0, Math.min(lowest, baseline - 0.1));
  const high = Math.max(baseline, ...ratios.map(([, a]) => a), ...widths.map(([, a]) => a), low + 0.01);
  const y = (accuracy: number): number => TOP + HEIGHT * (1 - (accuracy - low) / (high - low));
  const chart = (left: number, points: readonly Point[], caption: string): string => {
    const sorted = [...points].sort((a, b) => a[0] - b[0]);
    const at = ([x, accuracy]: Point): string => `${(left + x * WIDTH).toFixed(1)},${y(accuracy).toFixed(1)}`;
    return [
      `<line x1="${left}" y1="${y(baseline).toFixed(1)}" x2="${left + WIDTH}" y2="${y(baseline).toFixed(1)}" stroke="#888888" stroke-dasharray="3 3"/>`,
      `<line x1="${left}" y1="${TOP + HEIGHT}" x2="${left + WIDTH}" y2="${TOP + HEIGHT}" stroke="#888888"/>`,
      sorted.length > 0 ? `<polyline points="${sorted.map(at).join(' ')}" fill="none" stroke="#3794ff" stroke-width="2"/>` : '',
      ...sorted.map((point) => `<circle cx="${at(point).split(',')[0]}" cy="${at(point).split(',')[1]}" r="2.5" fill="#3794ff"/>`),
      `<text x="${left + WIDTH / 2}" y="${TOP + HEIGHT + 12}" text-anchor="middle" font-family="sans-serif" font-size="10" fill="#888888">${caption}</text>`,
    ].join('');
  };
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${2 * WIDTH + GAP + 8}" height="${TOP + HEIGHT + 16}">`,
    chart(4, ratios, 'pruned, 0 to 100 %'),
    chart(4 + WIDTH + GAP, widths, 'bits, 8 to 1'),
    '</svg>',
  ].join('');
}
