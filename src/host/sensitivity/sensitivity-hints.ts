/** Inlay hints behind the lines that define layers, and their hovers. */
import { basename, resolve } from 'node:path';
import * as vscode from 'vscode';
import type { LayerGraph, Sensitivity } from '../../protocol/layer-graph';
import { commandLink } from '../commands';
import type { DefinedModel, Definitions } from '../definitions';
import { LANGUAGES } from '../lenses/definition-scan';
import { problemText } from '../problems';
import { onSettingChanged, setting } from '../settings';
import type { SensitivityStore } from './sensitivity-store';
import type { MeasuredLayer } from './sensitivity-text';

interface MeasuredLine {
  readonly line: number;
  readonly layers: readonly MeasuredLayer[];
  readonly sensitivity: Sensitivity;
  readonly model: DefinedModel;
}

export class SensitivityHints implements vscode.InlayHintsProvider, vscode.HoverProvider {
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChangeInlayHints = this.changed.event;

  constructor(
    private readonly definitions: Definitions,
    private readonly store: SensitivityStore,
    private readonly log: vscode.LogOutputChannel,
  ) {}

  register(): vscode.Disposable {
    const refresh = (): void => this.changed.fire();
    const selector = Object.keys(LANGUAGES)
      .filter((language) => !language.startsWith('json'))
      .map((language) => ({ language, scheme: 'file' }));
    return vscode.Disposable.from(
      this.changed,
      vscode.languages.registerInlayHintsProvider(selector, this),
      vscode.languages.registerHoverProvider(selector, this),
      this.store.onDidChange(refresh),
      this.definitions.onDidChange(refresh),
      onSettingChanged('sensitivityHints.enabled', refresh),
    );
  }

  async provideInlayHints(document: vscode.TextDocument, range: vscode.Range): Promise<vscode.InlayHint[]> {
    const { hintText } = await import('./sensitivity-text');
    return (await this.measuredLines(document)).flatMap(({ line, layers, sensitivity }) => {
      if (line < range.start.line || line > range.end.line || line >= document.lineCount) return [];
      const text = hintText(layers, sensitivity);
      if (text === undefined) return [];
      const hint = new vscode.InlayHint(document.lineAt(line).range.end, text);
      hint.paddingLeft = true;
      return [hint];
    });
  }

  async provideHover(document: vscode.TextDocument, position: vscode.Position): Promise<vscode.Hover | undefined> {
    const lines = (await this.measuredLines(document)).filter(({ line }) => line === position.line);
    if (lines.length === 0) return undefined;
    const { hoverMarkdown } = await import('./sensitivity-text');
    const text = new vscode.MarkdownString(lines.map(({ layers, sensitivity }) => hoverMarkdown(layers, sensitivity)).join('\n\n---\n\n'));
    const { modelPath, configFile } = lines[0].model;
    const link = commandLink('espalier.openSensitivityReport', vscode.l10n.t('Open report'), modelPath, configFile);
    text.appendMarkdown(`\n\n[${link.title}](command:${link.command}?${encodeURIComponent(JSON.stringify(link.arguments))})`);
    // No other command of a hover's text is run.
    text.isTrusted = { enabledCommands: [link.command] };
    return new vscode.Hover(text, document.lineAt(position.line).range);
  }

  private async measuredLines(document: vscode.TextDocument): Promise<MeasuredLine[]> {
    if (!setting('sensitivityHints.enabled', document)) return [];
    try {
      const defined = await this.definitions.inFile(document.uri.fsPath);
      const lines = await Promise.all(defined.map((model) => this.linesOf(document, model)));
      return lines.flat();
    } catch (error) {
      // Hints come and go by themselves: a failure is for the log.
      this.log.warn(problemText(error));
      return [];
    }
  }

  private async linesOf(document: vscode.TextDocument, model: DefinedModel): Promise<MeasuredLine[]> {
    const { modelPath, configFile, definition } = model;
    const known = await this.store.cached(modelPath, configFile);
    if (!known) return [];
    const { layerLines } = await import('./source-lines');
    const { graph, sensitivity } = known;
    // The exporter may have written down any form of the path.
    const isThisFile = (file: string): boolean => resolve(file) === document.uri.fsPath || basename(file) === basename(document.uri.fsPath);
    const lines = layerLines(document.getText(), LANGUAGES[document.languageId], definition.name, graph.nodes, isThisFile);
    const byLine = new Map<number, MeasuredLayer[]>();
    for (const [layer, measured] of measuredLayers(graph, sensitivity)) {
      const line = lines.get(layer);
      if (line !== undefined) byLine.set(line, [...(byLine.get(line) ?? []), measured]);
    }
    return [...byLine].map(([line, layers]) => ({ line, layers, sensitivity, model }));
  }
}

/** Layers with anything measured, by node id. A group is told at the layers that produce its channels. */
function measuredLayers(graph: LayerGraph, sensitivity: Sensitivity): Map<string, MeasuredLayer> {
  const layers = new Map<string, MeasuredLayer>();
  const names = (node: LayerGraph['nodes'][number]): readonly string[] => [node.id, node.name];
  for (const node of graph.nodes) {
    const group = graph.groups.find(
      ({ id, producers }) => node.groups.includes(id) && producers.some((producer) => names(node).includes(producer)),
    );
    const ratios = group && sensitivity.groups.find((measured) => measured.group === group.id);
    const bits = node.quantizable === undefined ? undefined : sensitivity.layers.find((measured) => measured.layer === node.quantizable);
    if (ratios || bits) layers.set(node.id, { name: node.name, ...(ratios ? { group: ratios } : {}), ...(bits ? { bits } : {}) });
  }
  return layers;
}
