/** The line on top: which run, where it is, its best so far, and what can be done with it. */
import { html, nothing, type TemplateResult } from 'lit';
import type { Sensitivity } from '../../../src/protocol/layer-graph';
import type { Phase } from '../../../src/protocol/run-events';
import type { RunSnapshot } from '../../../src/protocol/run-summary';
import { type ShownStatus, shownStatus } from '../../../src/protocol/shown-status';
import type { Actions } from '../actions';
import { duration, percent } from '../figures';
import { t } from '../l10n';

export function phaseText(phase: Phase): string {
  const words: Record<Phase, string> = {
    prepare: t('Preparing'),
    prune: t('Pruning search'),
    reconstruct: t('Reconstructing'),
    quantize: t('Bit-width search'),
    recover: t('Fine-tuning'),
    export: t('Exporting'),
    report: t('Writing the report'),
  };
  return words[phase];
}

export function statusText(run: Parameters<typeof shownStatus>[0]): string {
  const words: Readonly<Record<ShownStatus, string>> = {
    queued: t('Queued'),
    running: t('Running'),
    finished: t('Finished'),
    interrupted: t('Interrupted'),
    failed: t('Failed'),
    paused: t('Paused'),
    stopped: t('Stopped'),
    elsewhere: t('Running in another process'),
  };
  return words[shownStatus(run)];
}

const fact = (name: string, value: TemplateResult | string, title?: string): TemplateResult =>
  html`<div class="fact" title=${title ?? nothing}><dt>${name}</dt><dd>${value}</dd></div>`;

export function runHeader(run: RunSnapshot, trusted: boolean, busy: ReadonlySet<string>, actions: Actions): TemplateResult {
  const { summary, progress, machine } = run;
  const { status, folder, original } = summary;
  // While it searches, the best so far; then the result, which was measured anew from its file.
  const best = status === 'finished' ? summary.best : (progress?.best ?? summary.best);
  const phase = progress?.phase ?? summary.phase;
  const episode = progress?.episode ?? summary.episode;
  const episodes = progress?.episodes ?? summary.episodes;
  const running = status === 'running';
  const unit = phase === 'recover' ? t('epoch') : t('episode');
  const button = (label: string, body: Parameters<Actions['request']>[0], done: string, title: string, primary = false) => {
    const disabled = busy.has(body.type) || !trusted;
    // While it is busy the button says so and does nothing; disabled, it would lose the keyboard's focus.
    return html`<vscode-button
      ?secondary=${!primary}
      ?disabled=${!trusted}
      aria-disabled=${disabled ? 'true' : 'false'}
      title=${title}
      data-action=${body.type}
      @click=${() => !disabled && actions.request(body, done)}
    >${label}</vscode-button>`;
  };
  // One button in one place: the keyboard stays on it when the run is paused and goes on.
  const pauseOrResume = (): TemplateResult | typeof nothing => {
    if (running)
      return button(
        busy.has('pauseRun') ? t('Pausing…') : t('Pause'),
        { type: 'pauseRun', folder },
        t('The run is paused.'),
        t('Pauses after the scoring in progress. Everything is on disk: the run can be resumed at any time, also after a restart.'),
      );
    if ((status === 'interrupted' || status === 'failed') && summary.resumable)
      return button(
        t('Resume'),
        { type: 'resumeRun', folder },
        t('The run goes on.'),
        t('Goes on where the run was paused, stopped or broken off.'),
        !best,
      );
    return nothing;
  };
  const stop = (): TemplateResult | typeof nothing =>
    running || status === 'queued' || summary.paused
      ? button(
          busy.has('stopRun') ? t('Stopping…') : t('Stop'),
          { type: 'stopRun', folder },
          best ? t('The run is stopped. Its best so far can be exported.') : t('The run is stopped.'),
          t('Ends the run after the scoring in progress and offers to export the best so far.'),
        )
      : nothing;
  return html`<header class="top">
    <h1><span class="run-name" title=${folder}>${summary.name}</span> <span class=${`status ${summary.paused || summary.stopped ? 'paused' : status}`}>${statusText(summary)}</span></h1>
    <dl class="facts">
      ${fact(t('method'), summary.method)}
      ${phase && status !== 'finished' ? fact(t('phase'), phaseText(phase)) : nothing}
      ${
        episodes > 0 && status !== 'finished'
          ? html`<div class="fact progress"><dt>${unit}</dt><dd><span>${episode}${'\u00a0'}/${'\u00a0'}${episodes}</span>
              <vscode-progress-bar .ariaLabel=${t('{0} {1} of {2}', unit, episode, episodes)} .value=${episode} .max=${episodes}></vscode-progress-bar></dd>
            </div>`
          : nothing
      }
      ${
        running
          ? fact(
              t('left'),
              progress?.secondsLeft === null || progress === null ? t('not known yet') : duration(progress.secondsLeft),
              t('{0} so far', duration(summary.secondsElapsed)),
            )
          : fact(t('took'), duration(summary.secondsElapsed), machine ? t('on {0}, {1} cores', machine.cpu, machine.cores) : undefined)
      }
      ${
        best
          ? fact(
              t('best'),
              html`<b class="good">${percent(best.accuracy)}</b>${
                original ? html` ${t('at {0} of MACs', percent(best.cost.macs / (original.cost.macs || 1)))}` : nothing
              }`,
              t('accuracy on {0} images', best.images.toLocaleString('en')),
            )
          : nothing
      }
      ${summary.goalMet === undefined ? nothing : fact(t('goal'), summary.goalMet ? t('met') : t('not met'))}
    </dl>
    <div class="buttons">
      ${pauseOrResume()}
      ${stop()}
      ${
        best
          ? button(
              t('Export best…'),
              { type: 'exportCandidate', folder, candidate: best.id },
              t('Exported.'),
              t('Writes the best candidate as a model file.'),
              true,
            )
          : nothing
      }
    </div>
  </header>`;
}

/** Without a run: which model, and what can be done with it. */
export function modelHeader(
  name: string,
  format: string,
  sensitivity: Sensitivity | null,
  trusted: boolean,
  busy: ReadonlySet<string>,
  actions: Actions,
): TemplateResult {
  const analyse = busy.has('requestSensitivity') || !trusted;
  const { done, total } = sensitivity ?? { done: 0, total: 0 };
  const scanning = busy.has('requestSensitivity') && total > done;
  const compress = busy.has('compressModel') || !trusted;
  return html`<header class="top">
    <h1><span class="run-name">${name}</span></h1>
    <dl class="facts">${fact(t('format'), format)}
      ${
        scanning
          ? html`<div class="fact progress"><dt>${t('sensitivity')}</dt><dd><span>${done} / ${total}</span>
              <vscode-progress-bar .ariaLabel=${t('Sensitivity: {0} of {1} points', done, total)} .value=${done} .max=${total}></vscode-progress-bar></dd></div>`
          : nothing
      }</dl>
    <div class="buttons">
      ${
        busy.has('requestSensitivity')
          ? html`<vscode-button secondary data-action="stopSensitivity"
              @click=${() => actions.request({ type: 'stopSensitivity' }, t('The analysis is stopped.'))}>${t('Stop analysis')}</vscode-button>`
          : nothing
      }
      <vscode-button secondary data-action="requestSensitivity" ?disabled=${analyse} aria-disabled=${analyse ? 'true' : 'false'}
        @click=${() => !analyse && actions.request({ type: 'requestSensitivity', groups: [], layers: [] }, t('Layer sensitivity is known.'))}
      >${t('Analyze layer sensitivity')}</vscode-button>
      <vscode-button data-action="compressModel" ?disabled=${compress} aria-disabled=${compress ? 'true' : 'false'}
        @click=${() => !compress && actions.request({ type: 'compressModel' }, '')}
      >${t('Compress this model…')}</vscode-button>
    </div>
  </header>`;
}
