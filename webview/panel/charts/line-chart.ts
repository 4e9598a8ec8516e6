/** Lines over episodes. */
import { html, nothing, svg, type TemplateResult } from 'lit';
import { type AxisTicks, axes, type Frame, plotArea } from './axes';
import { extentOf, linear, linePath, type Scale, ticks } from './scale';

export interface LineSeries {
  /** Class of the line, for its look. */
  readonly look: 'raw' | 'median' | 'ratio' | 'bits';
  readonly values: ReadonlyArray<number | null>;
  /** True: held until the next value, as decisions are. */
  readonly stepped?: boolean;
  /** On the right-hand scale. */
  readonly right?: boolean;
}

export interface LineChart {
  readonly width: number;
  readonly height: number;
  /** What it shows, in a sentence, for people who do not see it. */
  readonly label: string;
  readonly series: readonly LineSeries[];
  readonly text: (value: number) => string;
  readonly xName: string;
  /** Fixed left and right scales; otherwise from the values. */
  readonly domain?: readonly [number, number];
  readonly rightDomain?: readonly [number, number];
  readonly rightTicks?: AxisTicks;
  /** Places along x where another stage begins, with its name. */
  readonly stages?: ReadonlyArray<{ readonly at: number; readonly name: string }>;
  /** True: low, with few ticks up its side. */
  readonly compact?: boolean;
}

export function lineChart(chart: LineChart): TemplateResult {
  const { width, height, series } = chart;
  const frame: Frame = { width, height, left: 44, right: chart.rightTicks ? 40 : 14, top: 16, bottom: 36 };
  const { x0, x1, y0, y1 } = plotArea(frame);
  const length = Math.max(1, ...series.map((line) => line.values.length));
  const left = series.filter((line) => !line.right).flatMap((line) => line.values.filter((value) => value !== null));
  const x = linear([0, Math.max(1, length - 1)], [x0, x1]);
  const y = linear(chart.domain ?? extentOf(left), [y0, y1]);
  const right = chart.rightDomain ? linear(chart.rightDomain, [y0, y1]) : y;
  const path = (line: LineSeries, scale: Scale): string => {
    const points: Array<readonly [number, number] | null> = [];
    line.values.forEach((value, index) => {
      if (value === null) points.push(null);
      else {
        const before = points[points.length - 1];
        if (line.stepped && before) points.push([x(index), before[1]]);
        points.push([x(index), scale(value)]);
      }
    });
    return linePath(points);
  };
  return html`<svg class="chart" width=${width} height=${height} role="img" aria-label=${chart.label}>
    ${axes(
      frame,
      x,
      y,
      { at: ticks(0, length - 1, 5).filter(Number.isInteger), text: String, name: chart.xName },
      { at: ticks(...y.domain, chart.compact ? 2 : 4), text: chart.text },
    )}
    ${chart.rightTicks?.at.map(
      (value) =>
        svg`<text class="tick" x=${x1 + 6} y=${right(value)} dy="0.32em" aria-hidden="true">${chart.rightTicks?.text(value)}</text>`,
    )}
    ${(chart.stages ?? []).map(
      (stage) => svg`<g aria-hidden="true">
        ${stage.at > 0 ? svg`<line class="stage" x1=${x(stage.at)} x2=${x(stage.at)} y1=${y1 - 6} y2=${y0}></line>` : nothing}
        <text class="tick" x=${x(stage.at) + 4} y=${y1 - 4}>${stage.name}</text>
      </g>`,
    )}
    ${series.map((line) => svg`<path class=${`line ${line.look}`} d=${path(line, line.right ? right : y)}></path>`)}
  </svg>`;
}

export interface Sparkline {
  readonly width: number;
  readonly height: number;
  readonly label: string;
  readonly values: ReadonlyArray<number | null>;
}

/** A small line without axes; its figures stand beside it. */
export function sparkline({ width, height, label, values }: Sparkline): TemplateResult {
  const x = linear([0, Math.max(1, values.length - 1)], [2, width - 2]);
  const y = linear(extentOf(values.filter((value) => value !== null)), [height - 2, 2]);
  return html`<svg class="chart sparkline" width=${width} height=${height} role="img" aria-label=${label}>
    <path class="line median" d=${linePath(values.map((value, index) => (value === null ? null : ([x(index), y(value)] as const))))}></path>
  </svg>`;
}
