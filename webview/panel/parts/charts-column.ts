/** Charts of a run: Pareto front, curves over episodes, the agent's diagnostics, decisions by layer. */
import { html, nothing, type TemplateResult } from 'lit';
import type { LayerGraph } from '../../../src/protocol/layer-graph';
import type { Diagnostics } from '../../../src/protocol/run-events';
import type { RunSnapshot } from '../../../src/protocol/run-summary';
import type { Actions } from '../actions';
import { lineChart, sparkline } from '../charts/line-chart';
import { type CostAxis, paretoChart } from '../charts/pareto-chart';
import { runningMedian } from '../charts/scale';
import { customProperties } from '../custom-properties';
import { bitsRange, type LayerIndex, type ShownPolicy } from '../decisions';
import { bytes, count, percent, plain, removed } from '../figures';
import { t } from '../l10n';

/** Episodes that a running median looks back on. */
const MEDIAN_WINDOW = 15;
/** Rows of the table by layer; a larger network has the Layers view. */
const MOST_ROWS = 150;

export interface ChartsModel {
  readonly run: RunSnapshot;
  readonly graph: LayerGraph | null;
  readonly index: LayerIndex | undefined;
  readonly shown: ShownPolicy;
  readonly selectedNode?: string;
  readonly selectedCandidate?: string;
  readonly activeCandidate?: string;
  readonly axis: CostAxis;
  readonly curve: 'reward' | 'accuracy';
  readonly busy: ReadonlySet<string>;
  readonly trusted: boolean;
  /** Width of a chart, in pixels. */
  readonly width: number;
}

/** Two or more choices as toggle buttons. */
function choice<T extends string>(
  name: string,
  options: ReadonlyArray<readonly [T, string]>,
  now: T,
  choose: (value: T) => void,
): TemplateResult {
  return html`<div class="choice" role="group" aria-label=${name}>
    ${options.map(([value, label]) => html`<button aria-pressed=${value === now ? 'true' : 'false'} data-choice=${value} @click=${() => choose(value)}>${label}</button>`)}
  </div>`;
}

export function chartsColumn(model: ChartsModel, actions: Actions): TemplateResult {
  return html`${paretoSection(model, actions)} ${episodesSection(model, actions)} ${layersSection(model, actions)} ${diagnosticsSection(model)}`;
}

function paretoSection(model: ChartsModel, actions: Actions): TemplateResult {
  const { run, axis, width, selectedCandidate } = model;
  const complete = run.candidates.filter((candidate) => !candidate.partial);
  const { original, folder } = run.summary;
  const front = new Set(run.front);
  const chosen = complete.find((candidate) => candidate.id === selectedCandidate);
  const exporting = model.busy.has('exportCandidate') || !model.trusted;
  return html`<section class="pareto-section" aria-labelledby="pareto-title">
    <div class="section-head"><h2 id="pareto-title">${t('Pareto front')}</h2>
      ${choice(
        t('Cost'),
        [
          ['macs', t('MACs')],
          ['weightBytes', t('Weight bytes')],
        ],
        axis,
        actions.showAxis,
      )}</div>
    ${
      original && complete.length > 0
        ? html`${paretoChart({
            width,
            height: 236,
            original,
            candidates: complete,
            front: complete.filter((candidate) => front.has(candidate.id)),
            axis,
            selected: selectedCandidate,
            active: model.activeCandidate,
            choose: actions.chooseCandidate,
            activate: actions.activateCandidate,
            clear: () => actions.chooseCandidate(undefined),
          })}
          <p class="legend" aria-hidden="true">
            <span><svg class="key" width="22" height="10"><path class="front-line" d="M0 5H22"></path><g class="front-point"><circle class="mark" cx="11" cy="5" r="4"></circle></g></svg>${t('on the front')}</span>
            <span><svg class="key" width="8" height="10"><circle class="dot" cx="4" cy="5" r="2.5"></circle></svg>${t('other candidates')}</span></p>
          <div class="chosen-candidate">
            ${
              chosen
                ? html`<p><b>${percent(chosen.accuracy)}</b> ${t('on {0} images', chosen.images.toLocaleString('en'))} · ${count(chosen.cost.macs)} ${t('MACs')} · ${bytes(chosen.cost.weightBytes)}
                    <span class="dim block-line">${t('episode {0}, by {1}', chosen.episode, chosen.origin)}</span></p>
                  <div class="buttons">
                    <vscode-button secondary data-action="clearCandidate" @click=${() => actions.chooseCandidate(undefined)}>${t('Back')}</vscode-button>
                    <vscode-button data-action="exportThis" ?disabled=${exporting} aria-disabled=${exporting ? 'true' : 'false'}
                      @click=${() => !exporting && actions.request({ type: 'exportCandidate', folder, candidate: chosen.id }, t('Exported.'))}>${t('Export this one…')}</vscode-button>
                  </div>`
                : html`<p class="dim">${t('{0} candidates scored, {1} on the front. Choose one to see it on the graph.', complete.length, run.front.length)}</p>`
            }
          </div>`
        : html`<p class="empty">${
            run.progress?.phase === 'prepare' || !original
              ? t('The model is being prepared: its accuracy, cost and channel groups are measured first.')
              : t('No candidate has been scored completely yet.')
          }</p>`
    }
  </section>`;
}

function episodesSection({ run, curve, width }: ChartsModel, actions: Actions): TemplateResult {
  const { episodes } = run;
  const values = episodes.map((point) => point[curve]);
  const medians = runningMedian(values, MEDIAN_WINDOW);
  const stages = episodes.flatMap((point, index) =>
    index === 0 || episodes[index - 1].stage !== point.stage
      ? [{ at: index, name: point.stage === 'prune' ? t('pruning') : t('bits') }]
      : [],
  );
  const text = (value: number): string => (curve === 'accuracy' ? percent(value, 0) : plain(Number(value.toPrecision(6))));
  const title = curve === 'accuracy' ? t('Accuracy by episode') : t('Reward by episode');
  return html`<section aria-labelledby="episodes-title">
    <div class="section-head"><h2 id="episodes-title">${title}</h2>
      ${choice(
        t('Curve'),
        [
          ['reward', t('Reward')],
          ['accuracy', t('Accuracy')],
        ],
        curve,
        actions.showCurve,
      )}</div>
    ${
      episodes.length === 0
        ? html`<p class="empty">${t('No episode has ended yet.')}</p>`
        : html`${lineChart({
            width,
            height: 168,
            label: t('{0}: {1} episodes, running median now {2}', title, episodes.length, text(medians[medians.length - 1])),
            series: [
              { look: 'raw', values },
              { look: 'median', values: medians },
            ],
            text,
            xName: t('episode'),
            stages,
          })}
          <p class="legend" aria-hidden="true"><span><svg class="key" width="22" height="8"><path class="line raw" d="M0 4H22"></path></svg>${t('each episode')}</span>
            <span><svg class="key" width="22" height="8"><path class="line median" d="M0 4H22"></path></svg>${t('running median of {0}', MEDIAN_WINDOW)}</span></p>`
    }
  </section>`;
}

function layersSection({ graph, index, shown, selectedNode }: ChartsModel, actions: Actions): TemplateResult | typeof nothing {
  if (!graph || !index) return nothing;
  const rows = graph.nodes.filter((node) => node.quantizable !== undefined || index.producedBy(node).some((group) => group.prunable));
  return html`<section aria-labelledby="layers-title">
    <h2 id="layers-title">${t('Ratio and bits by layer')}</h2>
    ${
      shown.policy === null
        ? html`<p class="empty">${t('Nothing is decided yet.')}</p>`
        : html`<table class="layers">
          <caption class="hidden">${shown.title}</caption>
          <thead class="hidden"><tr><th scope="col">${t('layer')}</th><th scope="col">${t('share removed')}</th><th scope="col">${t('bits')}</th></tr></thead>
          <tbody>
          ${rows.slice(0, MOST_ROWS).map((node) => {
            const { ratio, bits } = index.decision([node], shown.policy);
            return html`<tr class=${node.id === selectedNode ? 'selected' : ''}>
              <th scope="row"><button class="link long-name" title=${node.name} @click=${() => actions.selectNode(node.id)}><bdi>${node.name}</bdi></button></th>
              <td><div class="ratio-cell"><span class="bar" ${customProperties({ '--share': ratio ?? 0 })}></span><span class="ratio">${ratio === undefined ? '–' : removed(ratio)}</span></div></td>
              <td class="bits-cell">${bits ? bitsRange(bits) : t('float')}</td>
            </tr>`;
          })}</tbody>
        </table>
        ${rows.length > MOST_ROWS ? html`<p class="note">${t('{0} more in the Layers view.', rows.length - MOST_ROWS)}</p>` : nothing}`
    }
  </section>`;
}

function diagnosticsSection({ run, width }: ChartsModel): TemplateResult {
  const figures: ReadonlyArray<readonly [keyof Diagnostics, string, string]> = [
    ['approxKl', t('approximate KL'), t('how far the policy moved in an update')],
    ['clipFraction', t('clip fraction'), t('share of samples at the clipping bound')],
    ['explainedVariance', t('explained variance'), t('of returns, by the critic; 1 is best')],
    ['entropy', t('entropy'), t('of the action distribution')],
    ['qMean', t('mean Q'), t('of the critic, over a batch')],
    ['criticLoss', t('critic loss'), ''],
    ['actorLoss', t('actor loss'), ''],
  ];
  const known = figures
    .map(([key, name, title]) => ({ name, title, values: run.diagnostics.map((update) => update.figures[key]) }))
    .filter(({ values }) => values.some((value) => value !== null));
  const half = Math.max(90, Math.floor((width - 12) / 2) - 20);
  return html`<section aria-labelledby="diagnostics-title">
    <h2 id="diagnostics-title">${t('Agent diagnostics')}</h2>
    ${
      known.length === 0
        ? html`<p class="empty">${run.diagnostics.length === 0 ? t('The agent has not been updated yet.') : t('This method has no diagnostics.')}</p>`
        : html`<div class="diagnostics">${known.map(({ name, title, values }) => {
            const last = values.findLast((value) => value !== null) ?? 0;
            return html`<div class="diagnostic" title=${title || nothing}>
              <div class="diagnostic-head"><span class="dim">${name}</span><b>${plain(last)}</b></div>
              ${sparkline({ width: half, height: 34, label: t('{0} over {1} updates, now {2}', name, values.length, plain(last)), values })}
            </div>`;
          })}</div>
          <p class="note">${t('{0} updates; the figure is the last one.', run.diagnostics.length)}</p>`
    }
  </section>`;
}
