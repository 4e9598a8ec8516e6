import { expect, test } from 'vitest';
import { lenetGraph, resnet20Graph } from '../../test/webview/fixtures/networks';
import { scriptRun } from '../../test/webview/fixtures/run';
import { bitsRange, LayerIndex, shownPolicy } from './decisions';

const policy = { ratios: { conv1: 0.5, conv2: 0.25 }, bits: { conv1: 8, conv2: 4 } };

test("a layer's channels follow the groups it makes, and a layer without one keeps them", () => {
  const index = new LayerIndex(lenetGraph());
  const decide = (name: string) => index.decision([index.nodes.get(name)!], policy);
  expect(decide('conv1')).toEqual({ channels: { before: 6, after: 3 }, ratio: 0.5, bits: { low: 8, high: 8 } });
  expect(decide('fc3')).toEqual({ channels: { before: 10, after: 10 } });
  expect(decide('conv1_relu')).toEqual({});
});

test('a block counts each of its layers once', () => {
  const index = new LayerIndex(lenetGraph());
  const decision = index.decision([...index.nodes.values()].slice(0, 6), policy);
  expect(decision).toEqual({ channels: { before: 22, after: 15 }, ratio: 7 / 22, bits: { low: 4, high: 8 } });
  expect(bitsRange(decision.bits!)).toBe('4–8\u00a0bit');
});

test("a recurrent layer's channels are the units of its groups, whatever axis its output has them on", () => {
  const graph = lenetGraph();
  // Both directions of a GRU: [steps, directions, batch, units], a group of units each.
  const [first, ...rest] = graph.nodes;
  const gru = { ...first, outputs: [{ ...first.outputs[0], shape: [7, 2, 1, 6] }] };
  const groups = ['forward', 'backward'].map((id) => ({ ...graph.groups[0], id, channels: 6, producers: [first.name] }));
  const index = new LayerIndex({ ...graph, nodes: [gru, ...rest], groups });
  const decision = index.decision([gru], { ratios: { forward: 0.5, backward: 0.5 }, bits: {} });
  expect(decision).toMatchObject({ channels: { before: 12, after: 6 }, ratio: 0.5 });
});

test('channels that stay whole are not cut, though a group may go by the same name', () => {
  const graph = lenetGraph();
  const frozen = { ...graph.groups[0], prunable: false, reason: 'they are the output' };
  const index = new LayerIndex({ ...graph, groups: [frozen] });
  expect(index.decision([graph.nodes[0]], policy).channels).toEqual({ before: 6, after: 6 });
});

test('the policy shown is the chosen one, then the one being tried, then the best', () => {
  const { at } = scriptRun(resnet20Graph(), 20);
  const running = at(10);
  expect(shownPolicy(running, 'c3').candidate?.id).toBe('c3');
  expect(shownPolicy(running, undefined)).toMatchObject({ live: true, policy: running.current });
  expect(shownPolicy(at(10, { status: 'finished' }), 'gone').candidate).toEqual(at(10).summary.best);
  expect(shownPolicy(at(0), undefined).policy).toBeNull();
});
