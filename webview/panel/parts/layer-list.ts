/** The graph as a list, for models whose layout would take too long. */
import { html, type TemplateResult } from 'lit';
import type { Actions } from '../actions';
import { bitsRange, type LayerIndex, type ShownPolicy } from '../decisions';
import { count, removed } from '../figures';
import { t } from '../l10n';

const PAGE = 300;

export function layerList(
  index: LayerIndex,
  shown: ShownPolicy,
  selected: string | undefined,
  pages: number,
  more: () => void,
  actions: Actions,
): TemplateResult {
  const { nodes } = index.graph;
  const visible = nodes.slice(0, pages * PAGE);
  return html`<div class="layer-list">
    <p class="note">${t('This graph was not laid out; its {0} layers are listed in order.', nodes.length)}</p>
    <table class="layers">
      <thead><tr><th scope="col">${t('layer')}</th><th scope="col">${t('operator')}</th><th scope="col">${t('MACs')}</th><th scope="col">${t('removed')}</th><th scope="col">${t('bits')}</th></tr></thead>
      <tbody>${visible.map((node) => {
        const { ratio, bits } = index.decision([node], shown.policy);
        return html`<tr class=${node.id === selected ? 'selected' : ''}>
          <th scope="row"><button class="link" @click=${() => actions.selectNode(node.id)}>${node.name}</button></th>
          <td>${node.opType}</td><td>${node.macs === null ? '?' : count(node.macs)}</td><td>${ratio === undefined ? '–' : removed(ratio)}</td><td>${bits ? bitsRange(bits) : '–'}</td>
        </tr>`;
      })}</tbody>
    </table>
    ${visible.length < nodes.length ? html`<p><vscode-button secondary data-action="more" @click=${more}>${t('Show {0} more', Math.min(PAGE, nodes.length - visible.length))}</vscode-button></p>` : ''}
  </div>`;
}
