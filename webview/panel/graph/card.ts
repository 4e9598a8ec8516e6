/** One card of the graph: a layer, or a folded block of them. */
import { html, nothing, type TemplateResult } from 'lit';
import { customProperties } from '../custom-properties';
import { bitsRange, type Decision } from '../decisions';
import { ARROW, count, removed } from '../figures';
import { t } from '../l10n';
import type { GraphItem } from './fold';
import type { Box } from './place';

export interface CardModel {
  readonly item: GraphItem;
  readonly box: Box;
  /** Its place among the visible items, from 0, and how many they are. */
  readonly index: number;
  readonly items: number;
  readonly decision: Decision;
  /** False without a run: cards then say what a layer is and costs. */
  readonly hasPolicy: boolean;
  /** What the config fixes of it, in words. */
  readonly override: string | undefined;
  readonly selected: boolean;
  /** True where the keyboard is. */
  readonly active: boolean;
}

export const itemElementId = (index: number): string => `layer-${index}`;

export function card(model: CardModel): TemplateResult {
  const { item, box, index, items, decision, hasPolicy, override, selected, active } = model;
  const block = item.scope !== undefined;
  const node = item.nodes[0];
  const plain = !block && node.quantizable === undefined;
  const classes = [
    'card',
    block ? 'block' : '',
    plain ? 'plain' : '',
    selected ? 'selected' : '',
    active ? 'active' : '',
    override ? 'overridden' : '',
    hasPolicy && !decision.ratio ? 'whole' : '',
  ];
  return html`<div
      role="treeitem"
      id=${itemElementId(index)}
      class=${classes.filter(Boolean).join(' ')}
      data-item=${item.id}
      aria-level=${item.depth + 1}
      aria-posinset=${index + 1}
      aria-setsize=${items}
      aria-selected=${selected ? 'true' : 'false'}
      aria-expanded=${block ? 'false' : nothing}
      title=${item.label}
      ${customProperties({ '--x': `${box.x}px`, '--y': `${box.y}px`, '--w': `${box.width}px`, '--h': `${box.height}px` })}
    >
      <span class="hidden">${describe(item, decision, override)}</span>
      ${plain ? html`<span class="name" aria-hidden="true">${node.opType}</span>` : face(item, decision, hasPolicy)}
    </div>`;
}

function face(item: GraphItem, { channels, ratio, bits }: Decision, hasPolicy: boolean): TemplateResult {
  const block = item.scope !== undefined;
  const macs = item.nodes.every((node) => node.macs !== null) ? item.nodes.reduce((sum, node) => sum + node.macs!, 0) : undefined;
  const changed = channels && channels.after !== channels.before;
  const side = block
    ? t('{0} layers', item.nodes.length)
    : channels
      ? changed
        ? html`${channels.before}<span class="arrow">${ARROW}</span><b>${channels.after}</b>`
        : t('{0} ch', channels.before)
      : '';
  const frozen = !block && item.nodes[0].notPrunable !== undefined;
  return html`<div class="card-line" aria-hidden="true">
        ${block ? html`<span class="chevron" data-toggle>▸</span>` : nothing}<span class="name long-name"><bdi>${item.label}</bdi></span>
        <span class="side">${side}</span>
      </div>
      <div class="card-line" aria-hidden="true">
        ${
          hasPolicy
            ? html`<span class="bar" ${customProperties({ '--share': ratio ?? 0 })}></span>
              <span class="ratio">${ratio === undefined ? (frozen ? t('whole') : t('open')) : removed(ratio)}</span>
              <span class=${bits ? 'bits' : 'bits float'}>${bits ? bitsRange(bits) : t('float')}</span>`
            : html`<span class="what">${block ? '' : item.nodes[0].opType}</span>
              <span class="side">${macs === undefined ? t('MACs unknown') : t('{0} MACs', count(macs))}</span>`
        }
      </div>`;
}

/** A card in words. */
function describe(item: GraphItem, { channels, ratio, bits }: Decision, override: string | undefined): string {
  const node = item.nodes[0];
  const parts = [item.label, item.scope === undefined ? node.opType : t('folded block of {0} layers', item.nodes.length)];
  if (channels)
    parts.push(
      channels.after === channels.before
        ? t('{0} channels', channels.before)
        : t('{0} of {1} channels kept', channels.after, channels.before),
    );
  if (ratio !== undefined && ratio > 0) parts.push(t('{0} pruned', `${(ratio * 100).toFixed(0)} %`));
  if (bits) parts.push(bitsRange(bits));
  if (item.scope === undefined && node.notPrunable !== undefined && node.weights.length > 0) parts.push(t('not prunable'));
  if (override) parts.push(t('override: {0}', override));
  return parts.join(', ');
}
