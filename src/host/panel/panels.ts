/** The open panels: one for each run and each model, restored after a restart, and the same view as the editor of `.onnx` files. */
import * as vscode from 'vscode';
import { diskPath } from '../workspace-files';
import { type PanelServices, PanelSession, type PanelTarget } from './panel-session';

export const PANEL_TYPE = 'espalier.panel';
export const MODEL_EDITOR_TYPE = 'espalier.modelEditor';

export class Panels implements vscode.Disposable, vscode.WebviewPanelSerializer, vscode.CustomReadonlyEditorProvider {
  private readonly sessions = new Set<PanelSession>();
  private latest?: PanelSession;
  private readonly changed = new vscode.EventEmitter<PanelSession | undefined>();
  /** When another panel became the active one, or the active one shows something else. */
  readonly onDidChangeActive = this.changed.event;

  constructor(private readonly services: PanelServices) {}

  register(): vscode.Disposable {
    const options = { retainContextWhenHidden: false };
    return vscode.Disposable.from(
      this,
      vscode.window.registerWebviewPanelSerializer(PANEL_TYPE, this),
      vscode.window.registerCustomEditorProvider(MODEL_EDITOR_TYPE, this, {
        webviewOptions: options,
        supportsMultipleEditorsPerDocument: true,
      }),
    );
  }

  /** The panel last looked at. */
  get active(): PanelSession | undefined {
    return this.latest;
  }

  /** Opens a panel, or shows the one that has the same run or model. */
  open(target: PanelTarget, beside = true): PanelSession {
    const same = [...this.sessions].find(
      (session) =>
        session.panel.viewType.endsWith(PANEL_TYPE) &&
        (target.runFolder === undefined
          ? session.runFolder === undefined && session.modelPath === target.modelPath
          : session.runFolder === target.runFolder),
    );
    if (same) {
      same.panel.reveal();
      return same;
    }
    const column = beside && vscode.window.activeTextEditor ? vscode.ViewColumn.Beside : vscode.ViewColumn.Active;
    const panel = vscode.window.createWebviewPanel(PANEL_TYPE, 'Espalier', { viewColumn: column, preserveFocus: false });
    return this.adopt(panel, target);
  }

  async deserializeWebviewPanel(panel: vscode.WebviewPanel): Promise<void> {
    // The view sends its state, and with it what it showed, when it is ready.
    this.adopt(panel, {});
  }

  openCustomDocument(uri: vscode.Uri): vscode.CustomDocument {
    return { uri, dispose: () => undefined };
  }

  resolveCustomEditor(document: vscode.CustomDocument, panel: vscode.WebviewPanel): void {
    this.adopt(panel, { modelPath: diskPath(document.uri) });
  }

  dispose(): void {
    for (const session of this.sessions) session.dispose();
    this.changed.dispose();
  }

  private adopt(panel: vscode.WebviewPanel, target: PanelTarget): PanelSession {
    const session = new PanelSession(panel, target, this.services);
    panel.iconPath = vscode.Uri.joinPath(this.services.extensionUri, 'media', 'icon.svg');
    this.sessions.add(session);
    this.activate(session);
    session.onDidChange(() => {
      if (this.latest === session) this.changed.fire(session);
    });
    panel.onDidChangeViewState(() => {
      if (panel.active) this.activate(session);
    });
    panel.onDidDispose(() => {
      this.sessions.delete(session);
      session.dispose();
      if (this.latest === session) this.activate([...this.sessions].at(-1));
    });
    return session;
  }

  private activate(session: PanelSession | undefined): void {
    this.latest = session;
    this.changed.fire(session);
  }
}
