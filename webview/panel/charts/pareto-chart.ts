/** Candidates by cost and accuracy, with the front: those that no other betters. Front points are chosen by mouse or keyboard. */
import { html, nothing, svg, type TemplateResult } from 'lit';
import type { Candidate, ModelCost } from '../../../src/protocol/policy';
import { percent } from '../figures';
import { t } from '../l10n';
import { axes, type Frame, plotArea } from './axes';
import { extentOf, linear, linePath, ticks } from './scale';

/** More dominated candidates than this are thinned out: they are background. */
const MOST_DOTS = 400;

/** How near a click must be to a point, in pixels. */
const REACH = 14;

export type CostAxis = 'macs' | 'weightBytes';

export interface ParetoChart {
  readonly width: number;
  readonly height: number;
  readonly original: { readonly accuracy: number; readonly cost: ModelCost };
  readonly candidates: readonly Candidate[];
  readonly front: readonly Candidate[];
  readonly axis: CostAxis;
  readonly selected?: string;
  /** Where the keyboard is; undefined: on the selected, or the first. */
  readonly active?: string;
  readonly choose: (candidate: string) => void;
  readonly activate: (candidate: string) => void;
  readonly clear: () => void;
}

export const optionId = (candidate: string): string => `pareto-${candidate}`;

/** "90.6 % accuracy on 2000 images, 49.8 % of MACs, 14.1 % of weight bytes, episode 12". */
function describe(candidate: Candidate, share: (candidate: Candidate, axis: CostAxis) => number): string {
  return t(
    '{0} accuracy on {1} images, {2} of MACs, {3} of weight bytes, episode {4}',
    percent(candidate.accuracy),
    candidate.images,
    percent(share(candidate, 'macs')),
    percent(share(candidate, 'weightBytes')),
    candidate.episode,
  );
}

export function paretoChart(chart: ParetoChart): TemplateResult {
  const { original, axis, width, height } = chart;
  const share = (candidate: Candidate, of: CostAxis): number => candidate.cost[of] / (original.cost[of] || 1);
  const front = [...chart.front].sort((a, b) => share(a, axis) - share(b, axis));
  const frame: Frame = { width, height, left: 44, right: 20, top: 22, bottom: 38 };
  const { x0, x1, y0, y1 } = plotArea(frame);
  // Hopeless candidates would press the front flat against the top: they are drawn on the lower edge instead.
  const [frontLow] = extentOf([...front.map((candidate) => candidate.accuracy), original.accuracy], 0.35);
  const [, high] = extentOf([...chart.candidates.map((candidate) => candidate.accuracy), original.accuracy], 0.06);
  const low = Math.max(0, Math.min(frontLow, original.accuracy - 0.02));
  const [shareLow] = extentOf(
    chart.candidates.map((candidate) => share(candidate, axis)),
    0.05,
  );
  const x = linear([Math.max(0, Math.min(shareLow, 0.9)), 1], [x0, x1]);
  const y = linear([low, Math.min(1, high)], [y0, y1]);
  const onFront = new Set(front.map((candidate) => candidate.id));
  const others = chart.candidates.filter((candidate) => !onFront.has(candidate.id));
  const every = Math.ceil(others.length / MOST_DOTS);
  const below = others.filter((candidate) => candidate.accuracy < low).length;
  const decimals = y.domain[1] - y.domain[0] < 0.05 ? 1 : 0;
  const active = chart.active ?? chart.selected ?? front[front.length - 1]?.id;
  const selected = chart.candidates.find((candidate) => candidate.id === chart.selected);

  const onKey = (event: KeyboardEvent): void => {
    const at = front.findIndex((candidate) => candidate.id === active);
    const move = { ArrowRight: 1, ArrowUp: 1, ArrowLeft: -1, ArrowDown: -1 }[event.key];
    if (move !== undefined && front.length > 0) chart.activate(front[Math.min(front.length - 1, Math.max(0, at + move))].id);
    else if (event.key === 'Home') chart.activate(front[0].id);
    else if (event.key === 'End') chart.activate(front[front.length - 1].id);
    else if ((event.key === 'Enter' || event.key === ' ') && active) chart.choose(active);
    else if (event.key === 'Escape') chart.clear();
    else return;
    event.preventDefault();
  };

  // Points crowd: the nearest is meant, not the one that was drawn last. A dominated one must be hit more closely than one on the front.
  const onClick = (event: MouseEvent): void => {
    const area = (event.currentTarget as SVGSVGElement).getBoundingClientRect();
    let nearest: Candidate | undefined;
    let least = REACH;
    for (const candidate of [...front, ...others]) {
      const across = x(share(candidate, axis)) - (event.clientX - area.left);
      const along = y(Math.max(low, candidate.accuracy)) - (event.clientY - area.top);
      const distance = Math.hypot(across, along) + (onFront.has(candidate.id) ? 0 : REACH / 2);
      if (distance < least) {
        least = distance;
        nearest = candidate;
      }
    }
    if (nearest) chart.choose(nearest.id);
  };

  const dot = (candidate: Candidate) => {
    const low0 = candidate.accuracy < low;
    return svg`<circle class=${low0 ? 'dot below' : 'dot'} cx=${x(share(candidate, axis))} cy=${low0 ? y0 - 3 : y(candidate.accuracy)} r="2.5"></circle>`;
  };

  return html`<svg
      class="chart pareto"
      width=${width}
      height=${height}
      role="listbox"
      tabindex="0"
      aria-label=${t('Pareto front: arrow keys walk it, Enter shows a candidate on the graph')}
      aria-activedescendant=${active ? optionId(active) : nothing}
      @keydown=${onKey}
      @click=${onClick}
    >
      ${axes(
        frame,
        x,
        y,
        {
          at: ticks(...x.domain, 5),
          text: (value) => percent(value, 0),
          name: axis === 'macs' ? t('MACs, share of the original') : t('weight bytes, share of the original'),
        },
        // Nothing is expected above the original, whose own name stands there.
        {
          at: ticks(...y.domain, 4).filter((value) => value < original.accuracy),
          text: (value) => percent(value, decimals),
          name: t('accuracy'),
        },
      )}
      <g aria-hidden="true">
        ${others.filter((_, index) => index % every === 0).map(dot)}
        <line class="original" x1=${x0} x2=${x1} y1=${y(original.accuracy)} y2=${y(original.accuracy)}></line>
        <text class="tick" x=${x0 + 4} y=${y(original.accuracy) - 5}>${t('original {0}', percent(original.accuracy))}</text>
        <path class="front-line" d=${linePath(front.map((candidate) => [x(share(candidate, axis)), y(candidate.accuracy)] as const))}></path>
        ${
          selected
            ? svg`<circle class="chosen-ring" cx=${x(share(selected, axis))} cy=${y(Math.max(low, selected.accuracy))} r="9"></circle>`
            : nothing
        }
      </g>
      ${front.map(
        (candidate) => svg`<g
          role="option"
          id=${optionId(candidate.id)}
          class=${candidate.id === active ? 'front-point active' : 'front-point'}
          aria-selected=${candidate.id === chart.selected ? 'true' : 'false'}
          aria-label=${describe(candidate, share)}
        ><title>${describe(candidate, share)}</title><circle class="target" cx=${x(share(candidate, axis))} cy=${y(candidate.accuracy)} r="11"></circle
        ><circle class="mark" cx=${x(share(candidate, axis))} cy=${y(candidate.accuracy)} r=${candidate.id === chart.selected ? 5.5 : 4}></circle></g>`,
      )}
    </svg>
    ${below > 0 ? html`<p class="note">${t('Below the axis, drawn on its edge: {0}.', below)}</p>` : nothing}`;
}
