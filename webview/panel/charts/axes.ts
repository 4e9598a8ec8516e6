/** Frame of a chart: axis lines, ticks, grid and names. Coordinates are pixels, so that text keeps the editor's size. */
import { nothing, type SVGTemplateResult, svg } from 'lit';
import type { Scale } from './scale';

export interface Frame {
  readonly width: number;
  readonly height: number;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

export interface AxisTicks {
  readonly at: readonly number[];
  readonly text: (value: number) => string;
  readonly name?: string;
}

/** Inner edges of the plot. */
export const plotArea = (frame: Frame) => ({
  x0: frame.left,
  x1: frame.width - frame.right,
  y0: frame.height - frame.bottom,
  y1: frame.top,
});

export function axes(frame: Frame, x: Scale, y: Scale, xTicks: AxisTicks, yTicks: AxisTicks): SVGTemplateResult {
  const { x0, x1, y0, y1 } = plotArea(frame);
  return svg`<g class="axes" aria-hidden="true">
    ${yTicks.at.map(
      (value) => svg`<line class="grid" x1=${x0} x2=${x1} y1=${y(value)} y2=${y(value)}></line>
        <text class="tick" x=${x0 - 6} y=${y(value)} dy="0.32em" text-anchor="end">${yTicks.text(value)}</text>`,
    )}
    ${xTicks.at.map((value) => svg`<text class="tick" x=${x(value)} y=${y0 + 15} text-anchor="middle">${xTicks.text(value)}</text>`)}
    <line class="axis" x1=${x0} x2=${x1} y1=${y0} y2=${y0}></line>
    ${xTicks.name ? svg`<text class="axis-name" x=${(x0 + x1) / 2} y=${y0 + 31} text-anchor="middle">${xTicks.name}</text>` : nothing}
    ${yTicks.name ? svg`<text class="axis-name" x=${0} y=${y1 - 9} text-anchor="start">${yTicks.name}</text>` : nothing}
  </g>`;
}
