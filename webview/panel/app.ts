/** The panel: keeps its state, shows it, and talks to the host. Everything is drawn anew from whole snapshots. */
import { html, nothing, render, type TemplateResult } from 'lit';
import { originalOf } from '../../src/protocol/original-of';
import { type HostToPanel, hostToPanelSchema, readMessage, type ViewState } from '../../src/protocol/panel-messages';
import type { HostContext } from '../host-context';
import type { Actions } from './actions';
import type { CostAxis } from './charts/pareto-chart';
import { LayerIndex, type ShownPolicy, shownPolicy } from './decisions';
import { bitsText, percent } from './figures';
import { foldableScopes, type GraphItem, scopeItemId, scopesAround, type VisibleGraph, visibleGraph } from './graph/fold';
import { GraphView } from './graph/graph-view';
import { type PlacedGraph, placeItems } from './graph/place';
import { t } from './l10n';
import { chartsColumn } from './parts/charts-column';
import { comparison } from './parts/comparison';
import { modelHeader, phaseText, runHeader, statusText } from './parts/header';
import { blockDetails, type DetailsModel, layerDetails, modelDetails } from './parts/layer-details';
import { layerList } from './parts/layer-list';
import { effectiveOverride, overrideText } from './parts/override';
import { type RequestBody, Requests } from './requests';
import { applyMessage, INITIAL_STATE, type PanelState, readViewState, withSelected } from './state';

/** How long the host is not told of panning, so that it hears of the end only, in milliseconds. */
const STATE_DELAY = 250;
const fileName = (path: string): string => path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1);

export class App {
  private state: PanelState = INITIAL_STATE;
  private readonly requests: Requests;
  private readonly kept: ViewState | undefined;
  private readonly actions: Actions;
  private readonly graphElement = document.createElement('div');
  private readonly graphView: GraphView;
  private frame = 0;
  private stateTimer: ReturnType<typeof setTimeout> | undefined;
  private readonly busy = new Set<string>();
  private problem: { readonly message: string; readonly hint?: string } | undefined;
  private axis: CostAxis = 'macs';
  private curve: 'reward' | 'accuracy' = 'accuracy';
  private activeCandidate: string | undefined;
  private listPages = 1;
  private announced = '';
  /** Made once a graph, and once a set of unfolded scopes. */
  private derived:
    | { graph: PanelState['graph']; expanded: readonly string[]; index: LayerIndex; visible: VisibleGraph; placed: PlacedGraph | undefined }
    | undefined;

  constructor(
    private readonly root: HTMLElement,
    private readonly host: HostContext,
  ) {
    this.requests = new Requests((message) => host.post(message));
    this.kept = readViewState(host.readState());
    this.actions = {
      selectNode: (id) => this.selectNode(id),
      toggleScope: (key) => this.toggleScope(key),
      chooseCandidate: (id) => this.chooseCandidate(id),
      activateCandidate: (id) => {
        this.activeCandidate = id;
        // At once: the next key counts from here.
        this.draw();
      },
      showAxis: (axis) => {
        this.axis = axis;
        this.request();
      },
      showCurve: (curve) => {
        this.curve = curve;
        this.request();
      },
      request: (body, done) => void this.ask(body, done),
      openSource: (file, line) => host.post({ type: 'openSource', file, line }),
      openConfig: () => host.post({ type: 'openConfig' }),
      showLog: () => host.post({ type: 'showLog' }),
    };
    this.graphElement.className = 'graph';
    this.graphElement.tabIndex = 0;
    this.graphElement.setAttribute('role', 'tree');
    this.graphElement.setAttribute('aria-label', t('Layer graph'));
    this.graphElement.setAttribute('aria-describedby', 'graph-help');
    this.graphView = new GraphView(this.graphElement, {
      select: (item) => this.selectItem(item),
      toggle: (item) => this.toggleItem(item),
      moved: ({ zoom, x, y }) => this.setView({ ...this.state.view, zoom, x, y }, true),
    });
  }

  start(): void {
    this.host.onMessage((data) => this.receive(data));
    new ResizeObserver(() => this.request()).observe(this.root);
    this.draw();
    this.host.post({ type: 'ready', ...(this.kept ? { state: this.kept } : {}) });
  }

  private receive(data: unknown): void {
    const reading = readMessage<HostToPanel>(hostToPanelSchema, data);
    if ('problem' in reading) {
      this.host.post({ type: 'viewError', message: `The panel received a message that it does not understand: ${reading.problem}` });
      return;
    }
    const { message } = reading;
    if (message.type === 'response') this.requests.answer(message);
    const before = this.state;
    this.state = applyMessage(before, message, this.kept);
    if (this.state.view !== before.view) this.keepView();
    // What is under way is shown; speaking every step of it would be a nuisance.
    if (message.type === 'status' && message.message && (message.quiescent || message.health !== 'ok')) this.announce(message.message);
    const { run } = this.state;
    if (run && (before.run?.summary.status !== run.summary.status || before.run?.progress?.phase !== run.progress?.phase)) {
      const phase =
        run.summary.status === 'running' && run.progress
          ? phaseText(run.progress.phase)
          : statusText(run.summary.status, run.summary.paused);
      this.announce(t('{0}: {1}', run.summary.name, phase));
    }
    this.request();
    if (message.type === 'selectNode' && this.state.view !== before.view) this.revealSelected();
  }

  private async ask(body: RequestBody, done: string): Promise<void> {
    this.busy.add(body.type);
    this.problem = undefined;
    this.request();
    const { error } = await this.requests.send(body);
    this.busy.delete(body.type);
    this.problem = error;
    if (!error && done) this.announce(done);
    this.request();
  }

  private announce(text: string): void {
    this.announced = text;
    this.request();
  }

  private setView(view: ViewState, placed = this.state.placed): void {
    this.state = { ...this.state, view, placed };
    this.keepView();
    this.request();
  }

  private keepView(): void {
    this.host.writeState(this.state.view);
    clearTimeout(this.stateTimer);
    this.stateTimer = setTimeout(() => this.host.post({ type: 'stateChanged', state: this.state.view }), STATE_DELAY);
  }

  private selectNode(id: string | undefined): void {
    const { view, graph } = this.state;
    if (id === undefined) {
      const { selectedNode: _, ...rest } = view;
      this.setView(rest);
      return;
    }
    this.setView(withSelected(view, graph, id));
    this.revealSelected();
  }

  /** Brings the selected card into the window, after it was drawn. */
  private revealSelected(): void {
    const { selectedNode } = this.state.view;
    if (selectedNode === undefined) return;
    this.draw();
    this.graphView.reveal(selectedNode);
  }

  private selectItem(item: GraphItem): void {
    this.setView({ ...this.state.view, selectedNode: item.id });
    this.graphView.reveal(item.id);
    this.announce(t('{0} selected', item.label));
  }

  private toggleItem(item: GraphItem): void {
    const { graph } = this.state;
    if (!graph) return;
    const key = item.scope ?? scopesAround(item.nodes[0], foldableScopes(graph)).at(-1);
    if (key !== undefined) this.toggleScope(key);
  }

  /** Folds or unfolds a scope, keeping its first card where it is in the window. */
  private toggleScope(key: string): void {
    const { view, graph } = this.state;
    if (!graph) return;
    const members = foldableScopes(graph).get(key) ?? [];
    const unfold = !view.expanded.includes(key);
    const expanded = unfold ? [...view.expanded, key] : view.expanded.filter((other) => other !== key && !other.startsWith(`${key}/`));
    const inside = view.selectedNode === scopeItemId(key) || members.some((node) => node.id === view.selectedNode);
    const anchorBefore = this.anchor(members);
    let next: ViewState = { ...view, expanded };
    if (inside || view.selectedNode === undefined) {
      const selectedNode = unfold ? (members.find((node) => node.quantizable !== undefined) ?? members[0])?.id : scopeItemId(key);
      if (selectedNode !== undefined && inside) next = { ...next, selectedNode };
    }
    this.state = { ...this.state, view: next };
    const anchorAfter = this.anchor(members);
    if (anchorBefore && anchorAfter && this.state.placed) {
      next = {
        ...next,
        x: next.x + (anchorBefore.x - anchorAfter.x) * next.zoom,
        y: next.y + (anchorBefore.y - anchorAfter.y) * next.zoom,
      };
    }
    this.setView(next);
    this.announce(unfold ? t('{0} unfolded', key.replaceAll('/', '.')) : t('{0} folded', key.replaceAll('/', '.')));
    this.draw();
    const first = members.length > 0 ? this.derive()?.visible.itemOf.get(members[0].id) : undefined;
    if (first) this.graphView.walk(first.id);
  }

  /** Top centre of the card that shows the first of `nodes`. */
  private anchor(nodes: ReadonlyArray<{ readonly id: string }>): { x: number; y: number } | undefined {
    const derived = this.derive();
    const box = nodes.length > 0 ? derived?.placed?.boxes.get(derived.visible.itemOf.get(nodes[0].id)?.id ?? '') : undefined;
    return box && { x: box.x + box.width / 2, y: box.y };
  }

  private chooseCandidate(id: string | undefined): void {
    const { selectedCandidate: before, ...rest } = this.state.view;
    const next = id === before ? undefined : id;
    this.activeCandidate = next ?? this.activeCandidate;
    this.setView(next === undefined ? rest : { ...rest, selectedCandidate: next });
    const candidate = this.state.run?.candidates.find((other) => other.id === next);
    this.announce(
      candidate ? t('The graph shows the candidate with {0} accuracy.', percent(candidate.accuracy)) : t('The graph shows the run again.'),
    );
  }

  private derive(): App['derived'] {
    const { graph, view } = this.state;
    if (!graph) {
      this.derived = undefined;
    } else if (this.derived?.graph !== graph || this.derived.expanded !== view.expanded) {
      const index = this.derived?.graph === graph ? this.derived.index : new LayerIndex(graph);
      const visible = visibleGraph(graph, new Set(view.expanded));
      this.derived = { graph, expanded: view.expanded, index, visible, placed: placeItems(graph, visible) };
    }
    return this.derived;
  }

  private request(): void {
    if (this.frame === 0) this.frame = requestAnimationFrame(() => this.draw());
  }

  private draw(): void {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
    const { graph, run, view } = this.state;
    const derived = this.derive();
    const shown = shownPolicy(run, view.selectedCandidate);
    this.root.className = [run ? 'with-run' : 'model-only', this.state.loaded ? '' : 'loading'].filter(Boolean).join(' ');
    render(this.page(derived, shown), this.root);
    if (!derived?.placed || !graph) return;
    const { index, visible, placed } = derived;
    this.graphView.show(
      {
        visible,
        placed,
        decide: (item) => index.decision(item.nodes, shown.policy),
        hasPolicy: run !== null,
        overridden: (item) =>
          item.scope === undefined && item.nodes[0].quantizable !== undefined
            ? overrideText(
                effectiveOverride(
                  item.nodes[0],
                  index.producedBy(item.nodes[0]).map((group) => group.id),
                  this.state.overrides,
                ),
              )
            : undefined,
        selected: view.selectedNode,
      },
      this.state.placed ? { zoom: view.zoom, x: view.x, y: view.y } : undefined,
    );
  }

  private page(derived: App['derived'], shown: ShownPolicy): TemplateResult {
    const { graph, run, loaded, trusted } = this.state;
    const name = graph ? fileName(graph.modelPath) : '';
    return html`
      <div class="hidden" role="status" aria-live="polite">${this.announced}</div>
      ${run ? runHeader(run, trusted, this.busy, this.actions) : graph ? modelHeader(name, graph.format, this.state.sensitivity, trusted, this.busy, this.actions) : nothing}
      ${this.banners()}
      ${
        graph || run
          ? html`<div class="columns">
              <section class="graph-pane" aria-labelledby="graph-title">${this.graphPane(derived, shown)}</section>
              ${
                run
                  ? html`<div class="charts">${chartsColumn(
                      {
                        run,
                        graph,
                        index: derived?.index,
                        shown,
                        selectedNode: this.state.view.selectedNode,
                        selectedCandidate: this.state.view.selectedCandidate,
                        activeCandidate: this.activeCandidate,
                        axis: this.axis,
                        curve: this.curve,
                        busy: this.busy,
                        trusted,
                        width: this.widthOf('.charts', 400),
                      },
                      this.actions,
                    )}</div>`
                  : nothing
              }
              <aside class="details" aria-label=${t('Details')}>${this.side(derived, shown)}</aside>
            </div>`
          : html`<div class="nothing"><h1>Espalier</h1><p class="empty">${
              loaded
                ? t('There is no model and no run yet. Open an ONNX model, or start a run with the command “Compress Model…”.')
                : t('Loading…')
            }</p></div>`
      }`;
  }

  /** Inner width of a column's sections; what it was before, or `otherwise`, until it is in the page. */
  private widthOf(selector: string, otherwise: number): number {
    const section = this.root.querySelector(`${selector} > section`);
    if (!section) {
      // The first drawing makes the columns; the second knows their width.
      this.request();
      return otherwise;
    }
    const style = getComputedStyle(section);
    return Math.max(200, Math.floor(section.clientWidth - Number.parseFloat(style.paddingLeft) - Number.parseFloat(style.paddingRight)));
  }

  private banners(): TemplateResult {
    const { limited, run, status } = this.state;
    const summary = run?.summary;
    // What a person paused needs no warning.
    const stopped = summary && (summary.status === 'failed' || (summary.status === 'interrupted' && !summary.paused)) ? summary : undefined;
    return html`
      ${limited ? html`<div class="banner info" role="note">${limited}</div>` : nothing}
      ${
        stopped
          ? html`<div class=${`banner ${stopped.status === 'failed' ? 'error' : 'warning'}`} role="note"><b>${statusText(stopped.status)}:</b> ${
              stopped.reason ?? t('it has stopped before its end')
            } <button class="link" @click=${this.actions.showLog}>${t('Show log')}</button></div>`
          : nothing
      }
      ${status?.message && (status.health !== 'ok' || !status.quiescent) ? html`<div class=${`banner ${status.health}`} role="note">${status.message}</div>` : nothing}
      ${(run?.warnings ?? []).slice(-2).map((warning) => html`<div class="banner warning" role="note"><b>${t('Warning.')}</b> ${warning}</div>`)}
      <div role="alert">${
        this.problem
          ? html`<div class="banner error"><span><b>${this.problem.message}</b> ${this.problem.hint ?? ''}</span>
              <button class="link" @click=${() => {
                this.problem = undefined;
                this.request();
              }}>${t('Dismiss')}</button></div>`
          : nothing
      }</div>`;
  }

  private graphPane(derived: App['derived'], shown: ShownPolicy): TemplateResult {
    const { run, graph } = this.state;
    const { candidate } = shown;
    const original = run ? originalOf(run.summary, candidate) : undefined;
    const caption = !graph
      ? nothing
      : run
        ? html`<span class=${shown.live ? 'live' : 'still'}>${shown.title}</span>${
            candidate
              ? html` <span class="dim">${t('{0} on {1} images', percent(candidate.accuracy), candidate.images.toLocaleString('en'))}${
                  original ? t(' at {0} of MACs', percent(candidate.cost.macs / (original.cost.macs || 1))) : ''
                }</span>`
              : nothing
          }`
        : html`<span>${t('Layers with their shapes and costs')}</span>`;
    const zoomButton = (label: string, sign: string, act: () => void) =>
      html`<button class="tool" title=${label} aria-label=${label} @click=${act}>${sign}</button>`;
    return html`<h2 id="graph-title" class="hidden">${t('Layer graph')}</h2>
      <div class="graph-head"><p class="shown">${caption}</p>
        ${
          derived?.placed
            ? html`<div class="tools" role="toolbar" aria-label=${t('Zoom')}>
                ${zoomButton(t('Zoom out'), '−', () => this.graphView.zoomBy(1 / 1.25))}
                ${zoomButton(t('Zoom in'), '+', () => this.graphView.zoomBy(1.25))}
                <button class="tool wide" title=${t('Show the whole graph')} @click=${() => this.graphView.overview()}>${t('Fit')}</button>
              </div>`
            : nothing
        }</div>
      ${
        derived?.placed
          ? html`${this.graphElement}
            <p class="graph-foot" id="graph-help"><span class="hidden">${t(
              'Arrow keys follow the connections, Enter selects, space folds and unfolds, plus and minus zoom, 0 shows everything.',
            )}</span><span aria-hidden="true">${
              run
                ? html`<span class="bar key-bar"></span>${t('channels removed')}<span class="bits">${bitsText(4)}</span>${t('weight bits')}`
                : nothing
            }<span class="keys">${t('Enter selects · Space folds')}</span></span></p>`
          : derived
            ? layerList(
                derived.index,
                shown,
                this.state.view.selectedNode,
                this.listPages,
                () => {
                  this.listPages++;
                  this.request();
                },
                this.actions,
              )
            : html`<p class="empty unread">${graph === null ? t('The model is being read.') : ''}</p>`
      }`;
  }

  private side(derived: App['derived'], shown: ShownPolicy): TemplateResult {
    const { run, view, graph, sensitivity, overrides, configName, trusted } = this.state;
    const table = run
      ? html`<section aria-labelledby="comparison-title"><h3 id="comparison-title">${t('Before and after')}</h3>${comparison(
          run,
          shown.candidate ?? (run.summary.status === 'finished' ? run.summary.best : (run.progress?.best ?? run.summary.best)),
          shown.candidate ? shown.title : t('Best candidate'),
        )}</section>`
      : nothing;
    if (!derived || !graph) return html`${table}`;
    const model: DetailsModel = {
      graph,
      index: derived.index,
      run,
      sensitivity,
      overrides,
      configName: configName ?? (run?.summary.configPath ? fileName(run.summary.configPath) : undefined),
      shown,
      trusted,
      busy: this.busy,
      width: this.widthOf('.details', 330),
    };
    const foldable = foldableScopes(graph);
    const { selectedNode } = view;
    const node = selectedNode === undefined ? undefined : derived.index.nodes.get(selectedNode);
    const block = [...foldable].find(([key]) => scopeItemId(key) === selectedNode);
    const details = node
      ? layerDetails(node, scopesAround(node, foldable).at(-1), model, this.actions)
      : block
        ? blockDetails(block[0], block[1], model, this.actions)
        : modelDetails(model);
    // Without a choice the run as a whole is what matters.
    return node || block ? html`${details} ${table}` : html`${table} ${details}`;
  }
}
