/** What must be known now, in lines below the header: limits, ends that nobody wished for, warnings, and the last request that failed. */
import { html, nothing, type TemplateResult } from 'lit';
import type { RunSummary } from '../../../src/protocol/run-summary';
import type { Actions } from '../actions';
import { percent } from '../figures';
import { t } from '../l10n';
import type { PanelState } from '../state';
import { statusText } from './header';

export interface RequestProblem {
  readonly message: string;
  readonly hint?: string;
}

/** How many of a run's warnings are shown: the latest. */
const WARNINGS = 2;

export function banners(
  { limited, run, status, trusted }: PanelState,
  problem: RequestProblem | undefined,
  dismiss: () => void,
  actions: Actions,
): TemplateResult {
  const summary = run?.summary;
  return html`
      ${limited ? html`<div class="banner info" role="note">${limited}</div>` : nothing}
      ${summary ? endOf(summary, trusted, actions) : nothing}
      ${status?.message && (status.health !== 'ok' || !status.quiescent) ? html`<div class=${`banner ${status.health}`} role="note">${status.message}</div>` : nothing}
      ${(run?.warnings ?? []).slice(-WARNINGS).map((warning) => html`<div class="banner warning" role="note"><b>${t('Warning.')}</b> ${warning}</div>`)}
      <div role="alert">${
        problem
          ? html`<div class="banner error"><span><b>${problem.message}</b> ${problem.hint ?? ''}</span>
              <button class="link" @click=${dismiss}>${t('Dismiss')}</button></div>`
          : nothing
      }</div>`;
}

/** How a run ended before its end. What a person paused needs no word. */
function endOf(summary: RunSummary, trusted: boolean, actions: Actions): TemplateResult | typeof nothing {
  const { status, paused, stopped, reason } = summary;
  if (stopped) return endedEarly(summary, trusted, actions);
  if (status !== 'failed' && (status !== 'interrupted' || paused)) return nothing;
  return html`<div class=${`banner ${status === 'failed' ? 'error' : 'warning'}`} role="note"><b>${statusText(summary)}:</b> ${
    reason ?? t('it has stopped before its end')
  } <button class="link" @click=${actions.showLog}>${t('Show log')}</button></div>`;
}

/** Of a run that a person stopped: what it found, and the offer to take it along. */
function endedEarly({ folder, episode, episodes, best }: RunSummary, trusted: boolean, actions: Actions): TemplateResult {
  const where = episode > 0 ? t('Stopped after episode {0} of {1}.', episode, episodes) : t('Stopped before its first episode ended.');
  return html`<div class="banner info" role="note">${
    best
      ? html`<span><b>${where}</b> ${t('The best candidate so far has {0} accuracy on {1} images.', percent(best.accuracy), best.images.toLocaleString('en'))}</span>
          <button class="link" data-action="exportBest" ?disabled=${!trusted} @click=${() =>
            actions.request({ type: 'exportCandidate', folder, candidate: best.id }, t('Exported.'))}>${t('Export it…')}</button>`
      : html`<span><b>${where}</b> ${t('Nothing was scored completely, so there is nothing to export.')}</span>`
  }</div>`;
}
