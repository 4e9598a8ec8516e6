/** The layers of the model in the active panel, as a tree. */
import * as vscode from 'vscode';
import type { PanelSession } from '../panel/panel-session';
import type { Panels } from '../panel/panels';
import { type LayerBranch, layerFigures, layerTree } from './layer-tree';

export class LayersView implements vscode.TreeDataProvider<LayerBranch> {
  private readonly changed = new vscode.EventEmitter<LayerBranch | undefined>();
  private session?: PanelSession;
  readonly onDidChangeTreeData = this.changed.event;

  register(panels: Panels): vscode.Disposable {
    const view = vscode.window.createTreeView('espalier.layers', { treeDataProvider: this, showCollapseAll: true });
    view.onDidChangeSelection(({ selection }) => {
      const [branch] = selection;
      if (branch?.kind === 'layer') this.session?.selectNode(branch.id);
    });
    const show = (session: PanelSession | undefined): void => {
      this.session = session;
      view.description = session?.layerGraph ? session.panel.title : undefined;
      this.changed.fire(undefined);
    };
    show(panels.active);
    return vscode.Disposable.from(view, this.changed, panels.onDidChangeActive(show));
  }

  getTreeItem(branch: LayerBranch): vscode.TreeItem {
    if (branch.kind === 'scope') {
      const item = new vscode.TreeItem(branch.name, vscode.TreeItemCollapsibleState.Collapsed);
      item.id = branch.id;
      item.iconPath = new vscode.ThemeIcon('symbol-namespace');
      return item;
    }
    const { node } = branch;
    const snapshot = this.session?.snapshot;
    const policy = snapshot?.current ?? snapshot?.summary.best?.policy ?? null;
    const figures = layerFigures(node, policy, this.session?.layerGraph?.groups ?? []);
    const item = new vscode.TreeItem(node.name, vscode.TreeItemCollapsibleState.None);
    item.id = `layer ${node.id}`;
    item.description = figures;
    item.iconPath = new vscode.ThemeIcon(node.weights.length > 0 ? 'symbol-field' : 'symbol-operator');
    item.tooltip = [`${node.name}: ${figures}`, node.notPrunable].filter((line) => line !== undefined).join('\n');
    item.accessibilityInformation = { label: `${node.name}, ${figures}` };
    return item;
  }

  getChildren(branch?: LayerBranch): LayerBranch[] {
    if (branch) return branch.kind === 'scope' ? branch.children : [];
    const graph = this.session?.layerGraph;
    return graph ? layerTree(graph) : [];
  }
}
