import { expect, test } from 'vitest';
import type { HostToPanel } from '../../src/protocol/panel-messages';
import { lenetGraph, resnet20Graph } from '../../test/webview/fixtures/networks';
import { scriptRun } from '../../test/webview/fixtures/run';
import { applyMessage, INITIAL_STATE, type PanelState, readViewState } from './state';

const script = scriptRun(resnet20Graph(), 20);
const show = (more: Partial<Extract<HostToPanel, { type: 'show' }>> = {}): HostToPanel => ({
  type: 'show',
  graph: script.graph,
  run: script.at(10),
  sensitivity: null,
  overrides: {},
  state: null,
  trusted: true,
  ...more,
});
const after = (...messages: HostToPanel[]): PanelState => messages.reduce((state, message) => applyMessage(state, message), INITIAL_STATE);

test('of one run the higher revision wins, in whatever order snapshots come', () => {
  const [early, late] = [script.at(5), script.at(15)];
  expect(after(show(), { type: 'run', run: late }, { type: 'run', run: early }).run).toBe(late);
  expect(after(show({ run: late }), show({ run: early })).run).toBe(late);
  const other = script.at(1, { folder: '/other' });
  expect(after(show({ run: late }), show({ run: other })).run).toBe(other);
});

test('selecting a layer in a folded block unfolds what is around it', () => {
  const state = after(show(), { type: 'selectNode', node: 'layer3.1.conv2' });
  expect(state.view.selectedNode).toBe('layer3.1.conv2');
  expect(state.view.expanded).toContain('layer3/1');
  expect(after(show(), { type: 'selectNode', node: 'no such layer' }).view.selectedNode).toBeUndefined();
});

test('view state of another model or run is not taken over; of the same, only names that exist', () => {
  const kept = { runFolder: script.at(1).summary.folder, modelPath: script.graph.modelPath, expanded: ['layer1'], zoom: 0.5, x: 1, y: 2 };
  const same = applyMessage(INITIAL_STATE, show(), { ...kept, selectedNode: 'conv1', selectedCandidate: 'c3' });
  expect(same.view).toMatchObject({ selectedNode: 'conv1', selectedCandidate: 'c3', zoom: 0.5 });
  expect(same.placed).toBe(true);
  const gone = applyMessage(INITIAL_STATE, show(), { ...kept, selectedNode: 'conv99', selectedCandidate: 'c99' });
  expect(gone.view.selectedNode).toBeUndefined();
  expect(gone.view.selectedCandidate).toBeUndefined();
  const other = applyMessage(INITIAL_STATE, show({ graph: lenetGraph() }), kept);
  expect(other.view.zoom).toBe(1);
  expect(other.placed).toBe(false);
});

test('what cannot be read as view state is none', () => {
  expect(readViewState({ expanded: [], zoom: -1, x: 0, y: 0 })).toBeUndefined();
  expect(readViewState('x')).toBeUndefined();
});

test('what was wrong is forgotten where everything was read anew', () => {
  const failed: HostToPanel = { type: 'status', health: 'error', quiescent: true, message: 'net.onnx is cut off' };
  expect(after(show({ graph: null }), failed).status).toBe(failed);
  expect(after(show({ graph: null }), failed, show()).status).toBeNull();
});
