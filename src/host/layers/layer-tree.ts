/** A layer graph as a tree of name scopes, with each layer's figures in words: what the panel draws, for keyboard and screen reader. */
import * as vscode from 'vscode';
import type { ChannelGroupInfo, LayerGraph, LayerNode } from '../../protocol/layer-graph';
import type { Policy } from '../../protocol/policy';
import { bytesText, countText } from '../runs/run-text';

const { t } = vscode.l10n;

export interface ScopeBranch {
  readonly kind: 'scope';
  readonly id: string;
  readonly name: string;
  readonly children: LayerBranch[];
}

export interface LayerLeaf {
  readonly kind: 'layer';
  readonly id: string;
  readonly node: LayerNode;
}

export type LayerBranch = ScopeBranch | LayerLeaf;

/** Layers in graph order; a scope stands where its first layer does. */
export function layerTree(graph: Pick<LayerGraph, 'nodes'>): LayerBranch[] {
  const roots: LayerBranch[] = [];
  const scopes = new Map<string, ScopeBranch>();
  for (const node of graph.nodes) {
    let siblings = roots;
    let id = '';
    for (const name of node.scope) {
      id += `/${name}`;
      let scope = scopes.get(id);
      if (!scope) {
        scope = { kind: 'scope', id, name, children: [] };
        scopes.set(id, scope);
        siblings.push(scope);
      }
      siblings = scope.children;
    }
    siblings.push({ kind: 'layer', id: node.id, node });
  }
  return roots;
}

/** '16×3×3×3 · 118 k MACs · prune 40 % · 5 bit': shapes, costs and what the policy decided. @param groups the graph's */
export function layerFigures(node: LayerNode, policy: Policy | null, groups: readonly ChannelGroupInfo[]): string {
  const parts = [node.opType];
  const weight = node.weights[0]?.shape;
  if (weight) parts.push(weight.map((axis) => axis ?? '?').join('×'));
  if (node.macs !== null && node.macs > 0) parts.push(t('{0} MACs', countText(node.macs)));
  if (node.params > 0) parts.push(t('{0} params', countText(node.params)), bytesText(node.bytes));
  // A ratio is told where the channels are made, as in the panel; what only carries or reads them loses none of its own.
  const made = groups.filter(({ id, prunable, producers }) => prunable && node.groups.includes(id) && producers.some(isCalled(node)));
  const ratios = made.flatMap(({ id }) => policy?.ratios[id] ?? []);
  if (ratios.length > 0) parts.push(t('prune {0} %', Math.round(Math.max(...ratios) * 100)));
  const bits = policy && node.quantizable !== undefined ? policy.bits[node.quantizable] : undefined;
  if (bits !== undefined) parts.push(t('{0} bit', bits));
  return parts.join(' · ');
}

/** Groups name their layers by id or name. */
const isCalled =
  ({ id, name }: LayerNode) =>
  (called: string): boolean =>
    called === id || called === name;
