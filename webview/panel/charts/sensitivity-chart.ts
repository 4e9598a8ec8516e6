/** Accuracy with one group pruned, and with one layer quantised, alone: ratio runs to the right, so do fewer bits. */
import { html, nothing, svg, type TemplateResult } from 'lit';
import type { GroupSensitivity, LayerSensitivity } from '../../../src/protocol/layer-graph';
import { bitsText, percent } from '../figures';
import { t } from '../l10n';
import { axes, type Frame, plotArea } from './axes';
import { linear, linePath, ticks } from './scale';

export interface SensitivityChart {
  readonly width: number;
  readonly height: number;
  readonly baseline: number;
  /** What runs up: 'accuracy', or another measure. */
  readonly name: string;
  readonly ratio: readonly GroupSensitivity[];
  readonly bits?: LayerSensitivity;
  /** What the policy shown chose. */
  readonly chosenRatio?: number;
  readonly chosenBits?: number;
}

/** The curve in words, which is what the chart is called by those who do not see it. */
function describe({ ratio, bits, baseline }: SensitivityChart): string {
  const parts = [t('untouched {0}', percent(baseline))];
  for (const curve of ratio) for (const p of curve.points) parts.push(t('{0} pruned: {1}', percent(p.ratio, 0), percent(p.accuracy)));
  for (const p of bits?.points ?? []) parts.push(t('{0}: {1}', bitsText(p.bits), percent(p.accuracy)));
  return t('Accuracy: {0}', parts.join(', '));
}

export function sensitivityChart(chart: SensitivityChart): TemplateResult {
  const { width, height, baseline, chosenRatio, chosenBits } = chart;
  const frame: Frame = { width, height, left: 44, right: 14, top: 36, bottom: chart.bits ? 34 : 22 };
  const { x0, x1, y0, y1 } = plotArea(frame);
  const ratioPoints = chart.ratio.flatMap((curve) => curve.points);
  const bitPoints = [...(chart.bits?.points ?? [])].sort((a, b) => b.bits - a.bits);
  const all = [...ratioPoints, ...bitPoints].map((point) => point.accuracy);
  const low = Math.max(0, Math.min(baseline - 0.02, ...all) - 0.01);
  const high = Math.min(1, Math.max(baseline, ...all) + 0.01);
  const y = linear([low, high], [y0, y1]);
  const x = linear([0, Math.max(0.9, ...ratioPoints.map((point) => point.ratio))], [x0, x1]);
  const fewest = Math.min(2, ...bitPoints.map((point) => point.bits));
  const xBits = linear([8, fewest], [x0, x1]);
  const bitTicks = [8, 6, 4, 3, 2, 1].filter((bits) => bits >= fewest);
  const marks = [
    chosenRatio !== undefined && ratioPoints.length > 0 ? { at: x(chosenRatio), text: percent(chosenRatio, 0), look: 'ratio' } : undefined,
    chosenBits !== undefined && chosenBits <= 8 && bitPoints.length > 0
      ? { at: xBits(chosenBits), text: bitsText(chosenBits), look: 'bits' }
      : undefined,
  ]
    .filter((mark) => mark !== undefined)
    .sort((a, b) => a.at - b.at);
  // Two marks at the same place would print over one another.
  const near = marks.length === 2 && Math.abs(marks[0].at - marks[1].at) < 44;
  return html`<svg class="chart" width=${width} height=${height} role="img" aria-label=${describe(chart)}>
    ${axes(
      frame,
      x,
      y,
      { at: ratioPoints.length > 0 ? [0, 0.3, 0.6, 0.9] : [], text: (value) => percent(value, 0) },
      { at: ticks(low, high, 4), text: (value) => percent(value, high - low < 0.04 ? 1 : 0) },
    )}
    <text class="axis-name" x="0" y="11" aria-hidden="true">${chart.name}</text>
    ${bitPoints.length > 0 ? bitTicks.map((bits) => svg`<text class="tick bits" x=${xBits(bits)} y=${y0 + (ratioPoints.length > 0 ? 29 : 15)} text-anchor="middle" aria-hidden="true">${bitsText(bits)}</text>`) : nothing}
    <line class="original" x1=${x0} x2=${x1} y1=${y(baseline)} y2=${y(baseline)}></line>
    ${marks.map(
      (mark, index) => svg`<line class=${`chosen ${mark.look}`} x1=${mark.at} x2=${mark.at} y1=${y1} y2=${y0}></line>
        <text class="tick strong" x=${mark.at} y=${y1 - 6} dx=${near ? (index === 0 ? 2 : -2) : 0}
          text-anchor=${near ? (index === 0 ? 'end' : 'start') : mark.at > x1 - 30 ? 'end' : 'middle'} aria-hidden="true">${mark.text}</text>`,
    )}
    ${chart.ratio.map(
      (curve) =>
        svg`<path class="line ratio" d=${linePath([[x(0), y(baseline)], ...curve.points.map((p) => [x(p.ratio), y(p.accuracy)] as const)])}></path>
        ${curve.points.map((p) => svg`<circle class="point ratio" cx=${x(p.ratio)} cy=${y(p.accuracy)} r="2"></circle>`)}`,
    )}
    <path class="line bits" d=${linePath(bitPoints.map((p) => [xBits(p.bits), y(p.accuracy)] as const))}></path>
    ${bitPoints.map((p) => svg`<rect class="point bits" x=${xBits(p.bits) - 2} y=${y(p.accuracy) - 2} width="4" height="4"></rect>`)}
  </svg>`;
}
