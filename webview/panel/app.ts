/** The panel: keeps its state, shows it, and talks to the host. Everything is drawn anew from whole snapshots. */
import type { VscodeButton } from '@vscode-elements/elements/dist/vscode-button/index.js';
import { html, nothing, render, type TemplateResult } from 'lit';
import { type HostToPanel, hostToPanelSchema, readMessage, type ViewState } from '../../src/protocol/panel-messages';
import type { HostContext } from '../host-context';
import type { Actions } from './actions';
import type { CostAxis } from './charts/pareto-chart';
import { LayerIndex, type ShownPolicy, shownPolicy } from './decisions';
import { fileName, percent } from './figures';
import { foldableScopes, type GraphItem, scopeItemId, scopesAround, type VisibleGraph, visibleGraph } from './graph/fold';
import { GraphView } from './graph/graph-view';
import { type PlacedGraph, placeItems } from './graph/place';
import { t } from './l10n';
import { banners, type RequestProblem } from './parts/banners';
import { chartsColumn } from './parts/charts-column';
import { graphPane } from './parts/graph-pane';
import { modelHeader, phaseText, runHeader, statusText } from './parts/header';
import { effectiveOverride, overrideText } from './parts/override';
import { side } from './parts/side';
import { type RequestBody, Requests } from './requests';
import { applyMessage, INITIAL_STATE, type PanelState, readViewState, withSelected } from './state';

/** How long the host is not told of panning, so that it hears of the end only, in milliseconds. */
const STATE_DELAY = 250;

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
  private problem: RequestProblem | undefined;
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
      clear: () => this.clearSelection(),
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
      const phase = run.summary.status === 'running' && run.progress ? phaseText(run.progress.phase) : statusText(run.summary);
      this.announce(t('{0}: {1}', run.summary.name, phase));
    }
    this.request();
    if (message.type === 'selectNode' && this.state.view !== before.view) this.revealSelected();
  }

  private async ask(body: RequestBody, done: string): Promise<void> {
    this.busy.add(body.type);
    this.problem = undefined;
    this.request();
    const { error, cancelled } = await this.requests.send(body);
    this.busy.delete(body.type);
    this.problem = error;
    if (!error && !cancelled && done) this.announce(done);
    this.request();
  }

  private readonly dismiss = (): void => {
    this.problem = undefined;
    this.request();
  };

  private readonly moreOfList = (): void => {
    this.listPages++;
    this.request();
  };

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

  private clearSelection(): void {
    if (this.state.view.selectedNode === undefined) return;
    this.selectNode(undefined);
    this.announce(t('Nothing selected'));
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
    this.keepFocus(() => render(this.page(derived, shown), this.root));
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

  /** A button that goes away hands the keyboard's focus to what there is to do next: the export, else the first button. */
  private keepFocus(drawing: () => void): void {
    const before = document.activeElement;
    const held = before?.closest('header .buttons') ? before : undefined;
    drawing();
    if (!held || held.isConnected) return;
    const buttons = [...this.root.querySelectorAll<VscodeButton>('header .buttons vscode-button')];
    const next = buttons.find((button) => button.dataset['action'] === 'exportCandidate') ?? buttons[0];
    // One that is new takes the focus only after its own first drawing.
    void next?.updateComplete.then(() => next.focus());
  }

  private page(derived: App['derived'], shown: ShownPolicy): TemplateResult {
    const { graph, run, loaded, trusted } = this.state;
    const name = graph ? fileName(graph.modelPath) : '';
    return html`
      <div class="hidden" role="status" aria-live="polite">${this.announced}</div>
      ${run ? runHeader(run, trusted, this.busy, this.actions) : graph ? modelHeader(name, graph.format, this.state.sensitivity, trusted, this.busy, this.actions) : nothing}
      ${banners(this.state, this.problem, this.dismiss, this.actions)}
      ${
        graph || run
          ? html`<div class="columns">
              <section class="graph-pane" aria-labelledby="graph-title">${graphPane(
                {
                  state: this.state,
                  index: derived?.index,
                  placed: derived?.placed !== undefined,
                  shown,
                  view: this.graphView,
                  pages: this.listPages,
                  more: this.moreOfList,
                },
                this.actions,
              )}</section>
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
              <aside class="details" aria-label=${t('Details')}>${side(
                { state: this.state, index: derived?.index, shown, busy: this.busy, width: () => this.widthOf('.details', 330) },
                this.actions,
              )}</aside>
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
}
