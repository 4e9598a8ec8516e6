/** The column of details: what is selected, and the result beside the original. */
import { html, nothing, type TemplateResult } from 'lit';
import type { Actions } from '../actions';
import type { LayerIndex, ShownPolicy } from '../decisions';
import { fileName } from '../figures';
import { foldableScopes, scopeItemId, scopesAround } from '../graph/fold';
import { t } from '../l10n';
import type { PanelState } from '../state';
import { comparison } from './comparison';
import { blockDetails, type DetailsModel, layerDetails, modelDetails } from './layer-details';

export interface Side {
  readonly state: PanelState;
  /** Absent until a graph is there. */
  readonly index: LayerIndex | undefined;
  readonly shown: ShownPolicy;
  readonly busy: ReadonlySet<string>;
  /** Inner width of the column, in pixels. */
  readonly width: () => number;
}

export function side({ state, index, shown, busy, width }: Side, actions: Actions): TemplateResult {
  const { run, view, graph, sensitivity, overrides, configName, trusted } = state;
  const table = run
    ? html`<section aria-labelledby="comparison-title"><h3 id="comparison-title">${t('Before and after')}</h3>${comparison(
        run,
        shown.candidate ?? (run.summary.status === 'finished' ? run.summary.best : (run.progress?.best ?? run.summary.best)),
        shown.candidate ? shown.title : t('Best candidate'),
      )}</section>`
    : nothing;
  if (!index || !graph) return html`${table}`;
  const model: DetailsModel = {
    graph,
    index,
    run,
    sensitivity,
    overrides,
    configName: configName ?? (run?.summary.configPath ? fileName(run.summary.configPath) : undefined),
    shown,
    trusted,
    busy,
    width: width(),
  };
  const foldable = foldableScopes(graph);
  const { selectedNode } = view;
  const node = selectedNode === undefined ? undefined : index.nodes.get(selectedNode);
  const block = [...foldable].find(([key]) => scopeItemId(key) === selectedNode);
  const details = node
    ? layerDetails(node, scopesAround(node, foldable).at(-1), model, actions)
    : block
      ? blockDetails(block[0], block[1], model, actions)
      : modelDetails(model);
  // Without a choice the run as a whole is what matters.
  return node || block ? html`${details} ${table}` : html`${table} ${details}`;
}
