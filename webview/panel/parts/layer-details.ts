/** The side panel's upper part: everything about the layer or block that is selected, or the model where none is. */
import { html, nothing, type TemplateResult } from 'lit';
import type { LayerGraph, LayerNode, Sensitivity } from '../../../src/protocol/layer-graph';
import type { RunSnapshot } from '../../../src/protocol/run-summary';
import type { Actions } from '../actions';
import { lineChart } from '../charts/line-chart';
import { sensitivityChart } from '../charts/sensitivity-chart';
import { bitsRange, curvesOf, type LayerIndex, type ShownPolicy } from '../decisions';
import { ARROW, bitsText, bytes, count, percent, removed, shapeText } from '../figures';
import { scopeLabel } from '../graph/fold';
import { t } from '../l10n';
import type { Overrides } from '../state';
import { overrideControls } from './override';

export interface DetailsModel {
  readonly graph: LayerGraph;
  readonly index: LayerIndex;
  readonly run: RunSnapshot | null;
  readonly sensitivity: Sensitivity | null;
  readonly overrides: Overrides;
  readonly configName?: string;
  readonly shown: ShownPolicy;
  readonly trusted: boolean;
  readonly busy: ReadonlySet<string>;
  /** Width of charts, in pixels. */
  readonly width: number;
}

const row = (name: string, value: TemplateResult | string, title?: string): TemplateResult =>
  html`<div class="row" title=${title ?? nothing}><dt>${name}</dt><dd>${value}</dd></div>`;

/** Nothing selected: the model as a whole. */
export function modelDetails({ graph }: DetailsModel): TemplateResult {
  const values = (list: LayerGraph['inputs']) =>
    html`${list.map((value) => html`<div>${value.name}: <span class="dim">${shapeText(value.shape)}</span></div>`)}`;
  return html`<section aria-labelledby="model-title">
    <h2 id="model-title">${t('Model')}</h2>
    <dl class="rows">
      ${row(t('inputs'), values(graph.inputs))} ${row(t('outputs'), values(graph.outputs))} ${row(t('layers'), String(graph.nodes.length))}
      ${row(t('parameters'), count(graph.params))} ${row(t('MACs'), count(graph.macs), t('for one input'))} ${row(t('weight bytes'), bytes(graph.bytes))}
      ${graph.opset === undefined ? nothing : row(t('opset'), String(graph.opset))}
      ${row(t('groups of channels'), t('{0} of {1} can be pruned', graph.groups.filter((group) => group.prunable).length, graph.groups.length))}
    </dl>
    ${
      graph.unknownOperators.length > 0
        ? html`<h3>${t('Carried through untouched')}</h3>
          <ul class="reasons">${graph.unknownOperators.map((entry) => html`<li><b>${entry.node}</b>: ${entry.reason}</li>`)}</ul>`
        : nothing
    }
    <p class="note">${t('Choose a layer in the graph to see its weights, its sensitivity and what may be done with it.')}</p>
  </section>`;
}

/** A folded block. */
export function blockDetails(key: string, nodes: readonly LayerNode[], model: DetailsModel, actions: Actions): TemplateResult {
  const { index, shown } = model;
  const decision = index.decision(nodes, shown.policy);
  const sum = (figure: (node: LayerNode) => number): number => nodes.reduce((total, node) => total + figure(node), 0);
  const weighted = nodes.filter((node) => node.quantizable !== undefined);
  return html`<section aria-labelledby="block-title">
    <h2 id="block-title">${scopeLabel(key)}</h2>
    <p class="sub">${t('Block of {0} layers', nodes.length)}</p>
    <dl class="rows">
      ${decision.ratio === undefined ? nothing : row(t('channels removed'), removed(decision.ratio), t('of all layers of the block together'))}
      ${decision.bits ? row(t('weight bits'), bitsRange(decision.bits)) : nothing}
      ${row(t('MACs'), nodes.some((node) => node.macs === null) ? t('not all known') : count(sum((node) => node.macs ?? 0)))}
      ${row(t('parameters'), count(sum((node) => node.params)))} ${row(t('weight bytes'), bytes(sum((node) => node.bytes)))}
    </dl>
    <p><vscode-button secondary data-action="unfold" @click=${() => actions.toggleScope(key)}>${t('Unfold')}</vscode-button></p>
    <h3>${t('Layers with weights')}</h3>
    <ul class="links">${weighted.map((node) => html`<li><button class="link" @click=${() => actions.selectNode(node.id)}>${node.name}</button> <span class="dim">${node.opType}</span></li>`)}</ul>
  </section>`;
}

export function layerDetails(node: LayerNode, scope: string | undefined, model: DetailsModel, actions: Actions): TemplateResult {
  const { index, shown, run, graph } = model;
  const groups = index.producedBy(node);
  const decision = index.decision([node], shown.policy);
  const read = graph.groups.filter((group) => node.groups.includes(group.id) && !groups.includes(group));
  const { channels, bits, ratio } = decision;
  // A batch normalisation or a bias follows the layer before: there is nothing to decide about it.
  const decided = node.quantizable !== undefined || groups.length > 0;
  const frozen = node.notPrunable ?? groups.find((group) => !group.prunable)?.reason;
  return html`<section aria-labelledby="layer-title">
      <h2 id="layer-title" class="long">${node.name}</h2>
      <p class="sub">${node.domain ? `${node.domain}.` : ''}${node.opType}
        ${node.source ? html` · <button class="link" @click=${() => actions.openSource(node.source!.file, node.source!.line)}>${t('line {0}', node.source.line)}</button>` : nothing}
        ${scope === undefined ? nothing : html` · <button class="link" data-action="fold" @click=${() => actions.toggleScope(scope)}>${t('Fold {0}', scopeLabel(scope))}</button>`}</p>
      <dl class="rows">
        ${
          channels
            ? row(
                t('channels'),
                channels.after === channels.before
                  ? String(channels.before)
                  : html`${channels.before} ${ARROW} <b>${channels.after}</b> <span class="dim">${removed(ratio ?? 0)}</span>`,
              )
            : nothing
        }
        ${node.quantizable === undefined ? nothing : row(t('weights'), bits ? html`${t('float')} ${ARROW} <b>${bitsText(bits.low)}</b>` : t('float'))}
        ${node.weights.map((weight) => row(t('shape'), html`${shapeText(weight.shape)}`, `${weight.name} · ${weight.type}`))}
        ${node.outputs.slice(0, 1).map((value) => row(t('output'), shapeText(value.shape), value.name))}
        ${row(t('MACs'), node.macs === null ? t('unknown operator') : count(node.macs), t('of the original, for one input'))}
        ${node.weights.length > 0 ? html`${row(t('parameters'), count(node.params), t('of the original'))} ${row(t('weight bytes'), bytes(node.bytes), t('of the original'))}` : nothing}
      </dl>
      ${groups.map((group) => html`<p class="explanation"><b>${t('Group:')}</b> ${group.explanation}</p>`)}
      ${
        groups.length === 0 && read.length > 0
          ? html`<p class="explanation"><b>${t('Reads or carries:')}</b> ${read.map((group) => group.id).join(', ')}</p>`
          : nothing
      }
      ${frozen !== undefined && decided ? html`<p class="explanation frozen"><b>${t('Not pruned:')}</b> ${frozen}</p>` : nothing}
    </section>
    ${decided ? sensitivitySection(node, model, actions) : nothing} ${decided && run ? choicesSection(node, model) : nothing}
    ${
      decided
        ? html`<section aria-labelledby="override-title"><h3 id="override-title">${t('Override')}</h3>
          ${overrideControls(
            {
              node,
              groups: groups.filter((group) => group.prunable).map((group) => group.id),
              overrides: model.overrides,
              suggestedRatio: Math.round((ratio ?? 0.5) * 100) / 100,
              configName: model.configName,
              disabled: !model.trusted || model.busy.has('setOverride'),
            },
            actions,
          )}</section>`
        : nothing
    }`;
}

const measureName = (measure: Sensitivity['measure']): string => (measure === 'accuracy' ? t('accuracy') : t('agreement'));

const measuredText = (measure: Sensitivity['measure'], images: string): string =>
  measure === 'accuracy'
    ? t('Accuracy with this alone changed, on {0} images.', images)
    : t('Agreement with the original with this alone changed, on {0} images.', images);

function sensitivitySection(node: LayerNode, model: DetailsModel, actions: Actions): TemplateResult {
  const { sensitivity, index, shown, width, trusted, busy } = model;
  const curves = curvesOf(index, node, sensitivity);
  const known = curves.ratio.length > 0 || curves.bits !== undefined;
  const scanning = sensitivity !== null && sensitivity.done < sensitivity.total && busy.has('requestSensitivity');
  const decision = index.decision([node], shown.policy);
  const groups = index.producedBy(node).filter((group) => group.prunable);
  const ask = (): void =>
    actions.request(
      {
        type: 'requestSensitivity',
        groups: groups.map((group) => group.id),
        layers: node.quantizable === undefined ? [] : [node.quantizable],
      },
      t('The sensitivity of {0} is known.', node.name),
    );
  return html`<section aria-labelledby="sensitivity-title">
    <h3 id="sensitivity-title">${t('Sensitivity')}</h3>
    ${
      known && sensitivity
        ? html`${sensitivityChart({
            width,
            height: 164,
            name: measureName(sensitivity.measure),
            baseline: sensitivity.baseline,
            ratio: curves.ratio,
            bits: curves.bits,
            chosenRatio: decision.ratio,
            chosenBits: decision.bits?.low,
          })}
          <p class="legend" aria-hidden="true">
            ${curves.ratio.length > 0 ? html`<span><svg class="key" width="22" height="8"><path class="line ratio" d="M0 4H22"></path></svg>${t('share pruned')}</span>` : nothing}
            ${curves.bits ? html`<span><svg class="key" width="22" height="8"><path class="line bits" d="M0 4H22"></path></svg>${t('weight bits')}</span>` : nothing}
          </p>
          <p class="note">${measuredText(sensitivity.measure, sensitivity.images.toLocaleString('en'))} ${scanning ? t('{0} of {1} points measured.', sensitivity.done, sensitivity.total) : nothing}
            <button class="link" data-action="openSensitivityReport" @click=${() => actions.request({ type: 'openSensitivityReport' }, '')}>${t('Report of all layers')}</button></p>`
        : html`<p class="empty">${scanning ? t('Being measured: {0} of {1} points.', sensitivity.done, sensitivity.total) : t('Not analysed yet.')}</p>
          ${
            scanning
              ? html`<vscode-button secondary data-action="stopSensitivity" @click=${() => actions.request({ type: 'stopSensitivity' }, t('The analysis is stopped.'))}>${t('Stop')}</vscode-button>`
              : html`<vscode-button secondary data-action="requestSensitivity" ?disabled=${!trusted || busy.has('requestSensitivity')} @click=${ask}>${t('Analyze this layer')}</vscode-button>`
          }`
    }
  </section>`;
}

function choicesSection(node: LayerNode, { run, index, width }: DetailsModel): TemplateResult | typeof nothing {
  const episodes = run?.episodes ?? [];
  const ratios = episodes.map((point) => index.decision([node], point.policy).ratio ?? null);
  const bits = episodes.map((point) => (node.quantizable === undefined ? null : (point.policy.bits[node.quantizable] ?? null)));
  const hasRatio = ratios.some((value) => value !== null);
  const hasBits = bits.some((value) => value !== null);
  if (!hasRatio && !hasBits) return nothing;
  const last = <T>(values: ReadonlyArray<T | null>): T | null => values.findLast((value) => value !== null) ?? null;
  return html`<section aria-labelledby="choices-title">
    <h3 id="choices-title">${t("The agent's choices")}</h3>
    ${lineChart({
      width,
      height: 118,
      label: t(
        'Choices over {0} episodes; last: {1}, {2}',
        episodes.length,
        last(ratios) === null ? t('no ratio') : percent(last(ratios)!, 0),
        last(bits) === null ? t('no bits') : bitsText(last(bits)!),
      ),
      series: [
        { look: 'ratio', values: ratios, stepped: true },
        { look: 'bits', values: bits, stepped: true, right: true },
      ],
      domain: [0, 1],
      rightDomain: hasBits ? [0, 8] : undefined,
      rightTicks: hasBits ? { at: [2, 4, 8], text: (value) => bitsText(value) } : undefined,
      text: (value) => percent(value, 0),
      xName: t('episode'),
      compact: true,
    })}
    <p class="legend" aria-hidden="true">
      ${hasRatio ? html`<span><svg class="key" width="22" height="8"><path class="line ratio" d="M0 4H22"></path></svg>${t('share removed')}</span>` : nothing}
      ${hasBits ? html`<span><svg class="key" width="22" height="8"><path class="line bits" d="M0 4H22"></path></svg>${t('weight bits')}</span>` : nothing}
      <span class="dim">${t('{0} episodes', episodes.length)}</span>
    </p>
  </section>`;
}
