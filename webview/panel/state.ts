/** What the panel shows. Everything from the host comes whole and replaces what was there; only view state is the panel's own. */
import type { LayerGraph, Sensitivity } from '../../src/protocol/layer-graph';
import { type HostToPanel, type ViewState, viewStateSchema } from '../../src/protocol/panel-messages';
import type { RunSnapshot } from '../../src/protocol/run-summary';
import { foldableScopes, scopeItemId, scopesAround, startingScopes } from './graph/fold';

export type Overrides = Extract<HostToPanel, { type: 'overrides' }>['overrides'];
export type Status = Extract<HostToPanel, { type: 'status' }>;

export interface PanelState {
  /** False until the host has answered `ready`. */
  readonly loaded: boolean;
  readonly graph: LayerGraph | null;
  readonly run: RunSnapshot | null;
  readonly sensitivity: Sensitivity | null;
  readonly overrides: Overrides;
  readonly configName?: string;
  readonly trusted: boolean;
  readonly limited?: string;
  readonly status: Status | null;
  readonly view: ViewState;
  /** True where zoom and place come from a person, not from fitting the graph into the window. */
  readonly placed: boolean;
}

export const EMPTY_VIEW: ViewState = { expanded: [], zoom: 1, x: 0, y: 0 };

export const INITIAL_STATE: PanelState = {
  loaded: false,
  graph: null,
  run: null,
  sensitivity: null,
  overrides: {},
  trusted: true,
  status: null,
  view: EMPTY_VIEW,
  placed: false,
};

/** View state as it was kept, or undefined where there is none that can be read. */
export function readViewState(kept: unknown): ViewState | undefined {
  return viewStateSchema.safeParse(kept).data;
}

/** True for a node's id, and for a block's. */
function isShown(graph: LayerGraph, id: string): boolean {
  return graph.nodes.some((node) => node.id === id) || [...foldableScopes(graph).keys()].some((key) => scopeItemId(key) === id);
}

/** View state with `id` selected and every block around it unfolded. */
export function withSelected(view: ViewState, graph: LayerGraph | null, id: string): ViewState {
  const node = graph?.nodes.find((candidate) => candidate.id === id);
  const around = graph && node ? scopesAround(node, foldableScopes(graph)) : [];
  return { ...view, selectedNode: id, expanded: [...new Set([...view.expanded, ...around])] };
}

/** The newer of two snapshots: of one run the higher revision, otherwise `next`. */
function newerRun(shown: RunSnapshot | null, next: RunSnapshot): RunSnapshot {
  return shown !== null && shown.summary.folder === next.summary.folder && shown.revision > next.revision ? shown : next;
}

/** View state for what is shown now: what was kept for the same run and model, without names that no longer exist; otherwise a fresh one. */
function viewFor(kept: ViewState | undefined, graph: LayerGraph | null, run: RunSnapshot | null): { view: ViewState; placed: boolean } {
  const runFolder = run?.summary.folder;
  const modelPath = graph?.modelPath;
  const same = kept !== undefined && kept.runFolder === runFolder && (kept.modelPath === modelPath || modelPath === undefined);
  if (!same) return { view: { ...EMPTY_VIEW, runFolder, modelPath, expanded: graph ? startingScopes(graph) : [] }, placed: false };
  const view: ViewState = { ...kept };
  // A first start without a model kept no scopes worth having.
  if (graph && kept.modelPath === undefined) view.expanded = startingScopes(graph);
  if (graph && view.selectedNode !== undefined && !isShown(graph, view.selectedNode)) delete view.selectedNode;
  if (run && !run.candidates.some((candidate) => candidate.id === view.selectedCandidate)) delete view.selectedCandidate;
  return { view, placed: kept.modelPath !== undefined };
}

/**
 * The state after a message. A snapshot of the same run with an older revision is dropped.
 * @param kept view state from before a reload, for the first `show`
 */
export function applyMessage(state: PanelState, message: HostToPanel, kept?: ViewState): PanelState {
  switch (message.type) {
    case 'show': {
      const run = message.run && newerRun(state.run, message.run);
      const { view, placed } = viewFor(state.loaded ? state.view : (kept ?? message.state ?? undefined), message.graph, run);
      return {
        ...state,
        loaded: true,
        graph: message.graph,
        run,
        sensitivity: message.sensitivity,
        overrides: message.overrides,
        configName: message.configName,
        trusted: message.trusted,
        limited: message.limited,
        // Everything was read anew: what was wrong before is said again where it still is.
        status: null,
        view,
        placed: state.loaded ? state.placed && placed : placed,
      };
    }
    case 'graph': {
      const { view, placed } = viewFor(state.view, message.graph, state.run);
      return { ...state, graph: message.graph, view, placed: state.placed && placed };
    }
    case 'run': {
      const run = newerRun(state.run, message.run);
      if (run === state.run) return state;
      const other = state.run !== null && state.run.summary.folder !== run.summary.folder;
      const view: ViewState = { ...state.view, runFolder: run.summary.folder };
      if (other || !run.candidates.some((candidate) => candidate.id === view.selectedCandidate)) delete view.selectedCandidate;
      return { ...state, run, view };
    }
    case 'sensitivity':
      return { ...state, sensitivity: message.sensitivity };
    case 'overrides':
      return { ...state, overrides: message.overrides };
    case 'selectNode':
      return state.graph && isShown(state.graph, message.node)
        ? { ...state, view: withSelected(state.view, state.graph, message.node) }
        : state;
    case 'status':
      return { ...state, status: message };
    case 'response':
      return state;
  }
}
