/** The graph with its caption and tools; a list in its place where it was not laid out. */
import { html, nothing, type TemplateResult } from 'lit';
import { originalOf } from '../../../src/protocol/original-of';
import type { Actions } from '../actions';
import type { LayerIndex, ShownPolicy } from '../decisions';
import { bitsText, percent } from '../figures';
import type { GraphView } from '../graph/graph-view';
import { t } from '../l10n';
import type { PanelState } from '../state';
import { layerList } from './layer-list';

export interface GraphPane {
  readonly state: PanelState;
  /** Absent until a graph is there. */
  readonly index: LayerIndex | undefined;
  /** True where the graph has places for its cards. */
  readonly placed: boolean;
  readonly shown: ShownPolicy;
  readonly view: GraphView;
  /** Of the list, how many pages are shown. */
  readonly pages: number;
  readonly more: () => void;
}

export function graphPane(pane: GraphPane, actions: Actions): TemplateResult {
  const { state, index, placed, shown, view } = pane;
  return html`<h2 id="graph-title" class="hidden">${t('Layer graph')}</h2>
      <div class="graph-head"><p class="shown">${caption(state, shown)}</p>
        ${
          placed
            ? html`<div class="tools" role="toolbar" aria-label=${t('Zoom')}>
                ${zoomButton(t('Zoom out'), '−', () => view.zoomBy(1 / 1.25))}
                ${zoomButton(t('Zoom in'), '+', () => view.zoomBy(1.25))}
                <button class="tool wide" title=${t('Show the whole graph')} @click=${() => view.overview()}>${t('Fit')}</button>
              </div>`
            : nothing
        }</div>
      ${
        placed
          ? html`${view.element}${foot(state.run !== null)}`
          : index
            ? layerList(index, shown, state.view.selectedNode, pane.pages, pane.more, actions)
            : html`<p class="empty unread">${state.graph === null ? unread(state) : ''}</p>`
      }`;
}

/** A run that has just begun tells of its model later. */
const unread = ({ loaded, run }: PanelState): string =>
  loaded && run?.summary.status !== 'running' ? t('There is no model to show.') : t('The model is being read.');

/** Whose policy the graph shows. */
function caption({ graph, run }: PanelState, { candidate, live, title }: ShownPolicy): TemplateResult | typeof nothing {
  if (!graph) return nothing;
  if (!run) return html`<span>${t('Layers with their shapes and costs')}</span>`;
  const original = originalOf(run.summary, candidate);
  return html`<span class=${live ? 'live' : 'still'}>${title}</span>${
    candidate
      ? html` <span class="dim">${t('{0} on {1} images', percent(candidate.accuracy), candidate.images.toLocaleString('en'))}${
          original ? t(' at {0} of MACs', percent(candidate.cost.macs / (original.cost.macs || 1))) : ''
        }</span>`
      : nothing
  }`;
}

const zoomButton = (label: string, sign: string, act: () => void): TemplateResult =>
  html`<button class="tool" title=${label} aria-label=${label} @click=${act}>${sign}</button>`;

/** What the cards' marks mean, and which keys there are. */
function foot(hasRun: boolean): TemplateResult {
  return html`
            <p class="graph-foot" id="graph-help"><span class="hidden">${t(
              'Arrow keys follow the connections, Enter selects, Escape selects nothing, space folds and unfolds, plus and minus zoom, 0 shows everything.',
            )}</span><span aria-hidden="true">${
              hasRun
                ? html`<span class="bar key-bar"></span>${t('channels removed')}<span class="bits">${bitsText(4)}</span>${t('weight bits')}`
                : nothing
            }<span class="keys">${t('Enter selects · Space folds')}</span></span></p>`;
}
