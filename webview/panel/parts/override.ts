/** Controls that take a decision about a layer out of the agent's hands. The host writes it to the config. */
import { html, nothing, type TemplateResult } from 'lit';
import { live } from 'lit/directives/live.js';
import type { LayerNode } from '../../../src/protocol/layer-graph';
import { overrideFor } from '../../../src/protocol/layer-overrides';
import type { Actions } from '../actions';
import { bitsText, percent } from '../figures';
import { t } from '../l10n';
import type { RequestBody } from '../requests';
import type { Overrides } from '../state';

type Override = NonNullable<Extract<RequestBody, { type: 'setOverride' }>['override']>;

const BITS = [8, 7, 6, 5, 4, 3, 2, 1, 16, 32] as const;

/** Name under which the config's `layers` gets an override of this layer. */
export const overrideName = (node: LayerNode): string => node.quantizable ?? node.name;

/** What holds for a layer, whichever pattern of the config says it. */
export function effectiveOverride(node: LayerNode, groups: readonly string[], overrides: Overrides): Override {
  const layers = Object.fromEntries(Object.entries(overrides).map(([name, value]) => [name, { ...value, skip: value.skip ?? false }]));
  return (overrideFor(layers as Parameters<typeof overrideFor>[0], [overrideName(node), node.name, node.id, ...groups]) ?? {}) as Override;
}

/** "skipped", "50 % · 4 bit", or undefined where the agent decides all. */
export function overrideText({ skip, ratio, bits }: Override): string | undefined {
  if (skip) return t('skipped');
  const parts = [ratio === undefined ? undefined : t('ratio {0}', percent(ratio, 0)), bits === undefined ? undefined : bitsText(bits)];
  return parts.filter((part) => part !== undefined).join(' · ') || undefined;
}

export interface OverrideControls {
  readonly node: LayerNode;
  /** Ids of the groups the layer produces; none: its ratio cannot be set. */
  readonly groups: readonly string[];
  readonly overrides: Overrides;
  readonly suggestedRatio: number;
  readonly configName?: string;
  readonly disabled: boolean;
}

export function overrideControls(
  { node, groups, overrides, suggestedRatio, configName, disabled }: OverrideControls,
  actions: Actions,
): TemplateResult {
  const name = overrideName(node);
  const now = effectiveOverride(node, groups, overrides);
  // What is sent are the layer's own values: what a pattern gives it holds beside them, and is not copied.
  const own = overrides[name] as Override | undefined;
  const byPattern = overrideText(now) !== undefined && !own;
  const send = (next: Override): void => {
    const kept: Override = next.skip
      ? { skip: true }
      : { ...(next.ratio === undefined ? {} : { ratio: next.ratio }), ...(next.bits === undefined ? {} : { bits: next.bits }) };
    const override = Object.keys(kept).length > 0 ? kept : null;
    actions.request(
      { type: 'setOverride', name, override },
      override === null
        ? t('The agent decides about {0} again.', name)
        : t('{0}: {1}, from the next run on.', name, overrideText(kept) ?? ''),
    );
  };
  const chosen = (event: Event): string => (event.target as HTMLSelectElement | HTMLInputElement).value;
  const mode = now.skip ? 'skip' : now.ratio === undefined ? 'agent' : 'fixed';
  const ratioChanged = (event: Event): void => {
    const value = chosen(event);
    if (value === 'skip') send({ skip: true });
    else if (value === 'fixed') send({ bits: own?.bits, ratio: suggestedRatio });
    else send({ bits: own?.bits });
  };
  const percentChanged = (event: Event): void => {
    const value = Number(chosen(event));
    if (Number.isFinite(value) && value >= 0 && value < 100) send({ bits: own?.bits, ratio: value / 100 });
  };
  const bitsChanged = (event: Event): void => {
    const value = chosen(event);
    send({ ratio: own?.ratio, bits: value === 'agent' ? undefined : (Number(value) as Override['bits']) });
  };
  return html`<div class="override">
      <span class="field-name" aria-hidden="true">${t('Channels')}</span>
      <div class="field">
        <select aria-label=${t('Channels of {0}', name)} ?disabled=${disabled} .value=${live(mode)} data-override="ratio" @change=${ratioChanged}>
          <option value="agent" ?selected=${mode === 'agent'}>${t('Agent decides')}</option>
          ${groups.length > 0 ? html`<option value="fixed" ?selected=${mode === 'fixed'}>${t('Fixed share removed')}</option>` : nothing}
          <option value="skip" ?selected=${mode === 'skip'}>${t('Skip this layer')}</option>
        </select>
        ${
          mode === 'fixed'
            ? html`<vscode-textfield type="number" .label=${t('Share of channels to remove, in percent')} min="0" max="99" step="1" ?disabled=${disabled}
                .value=${live(String(Math.round((now.ratio ?? 0) * 100)))} data-override="percent" @change=${percentChanged}><span slot="content-after">%</span></vscode-textfield>`
            : nothing
        }
      </div>
      ${
        node.quantizable === undefined
          ? nothing
          : html`<span class="field-name" aria-hidden="true">${t('Weight bits')}</span>
            <div class="field">
              <select aria-label=${t('Weight bits of {0}', name)} ?disabled=${disabled || mode === 'skip'} .value=${live(String(now.bits ?? 'agent'))}
                data-override="bits" @change=${bitsChanged}>
                <option value="agent" ?selected=${now.bits === undefined}>${t('Agent decides')}</option>
                ${BITS.map((bits) => html`<option value=${String(bits)} ?selected=${now.bits === bits}>${bitsText(bits)}</option>`)}
              </select>
            </div>`
      }
    </div>
    <p class="note">${
      byPattern
        ? t('Set by a pattern in the config.')
        : configName
          ? t('Written to {0}, used by the next run.', configName)
          : t('Written to a new config, used by the next run.')
    } ${configName ? html`<button class="link" @click=${actions.openConfig}>${t('Open config')}</button>` : nothing}</p>`;
}
