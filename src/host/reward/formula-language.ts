/** Completion and hover inside the formulas of a config; the hover shows the last run's value and a picture of the reward. */
import * as vscode from 'vscode';
import type { FormulaCompletion } from '../../protocol/reward/assist';
import type { RewardContext } from '../../protocol/reward/rescore';
import type { RunSnapshot } from '../../protocol/run-summary';
import { configLanguage } from '../load-config-language';
import type { RunStore } from '../runs/run-store';
import { percentText } from '../runs/run-text';
import { svgImage } from '../svg-image';
import { CONFIG_SELECTOR, lastSnapshot, rangeOf } from './config-documents';

const KINDS: Readonly<Record<FormulaCompletion['kind'], vscode.CompletionItemKind>> = {
  name: vscode.CompletionItemKind.Variable,
  function: vscode.CompletionItemKind.Function,
  constant: vscode.CompletionItemKind.Constant,
  preset: vscode.CompletionItemKind.Snippet,
};

export function registerFormulaLanguage(store: RunStore): vscode.Disposable {
  return vscode.Disposable.from(
    vscode.languages.registerCompletionItemProvider(CONFIG_SELECTOR, { provideCompletionItems }, '"', ' ', '(', '*', '/', '+', '-'),
    vscode.languages.registerHoverProvider(CONFIG_SELECTOR, { provideHover: (document, position) => hover(document, position, store) }),
  );
}

function provideCompletionItems(document: vscode.TextDocument, position: vscode.Position): vscode.CompletionItem[] {
  const { formulaCompletions } = configLanguage();
  const found = formulaCompletions(document.getText(), document.offsetAt(position));
  if (!found) return [];
  const range = rangeOf(document, found.range.start, found.range.end);
  return found.items.map((entry) => {
    const item = new vscode.CompletionItem(
      { label: entry.label, description: entry.kind === 'preset' ? vscode.l10n.t('preset') : entry.detail },
      KINDS[entry.kind],
    );
    item.range = range;
    item.detail = entry.detail;
    item.documentation = new vscode.MarkdownString(entry.description);
    if (entry.kind === 'function') item.insertText = new vscode.SnippetString(`${entry.label}($0)`);
    return item;
  });
}

async function hover(document: vscode.TextDocument, position: vscode.Position, store: RunStore): Promise<vscode.Hover | undefined> {
  const { formulaHover } = configLanguage();
  const found = formulaHover(document.getText(), document.offsetAt(position));
  if (!found) return undefined;
  const snapshot = await lastSnapshot(store, document.uri);
  const text = new vscode.MarkdownString();
  text.appendCodeblock(found.title, 'plaintext');
  text.appendMarkdown(found.description);
  const value = found.name === undefined ? undefined : valueInRun(found.name, snapshot);
  if (value !== undefined) text.appendMarkdown(`\n\n${value}`);
  const preview = previewMarkdown(document, found.stage === 'quantize' ? 'quantize' : 'prune', snapshot);
  if (preview !== undefined) text.appendMarkdown(`\n\n${preview}`);
  return new vscode.Hover(text, rangeOf(document, found.range.start, found.range.end));
}

/** 'accuracy' and 'accuracy0' of the last run, in words. */
function valueInRun(name: string, snapshot: RunSnapshot | undefined): string | undefined {
  const original = snapshot?.measures0;
  if (!snapshot || !original) return undefined;
  const base = name.endsWith('0') ? name.slice(0, -1) : name;
  const before = (original as Readonly<Record<string, number | undefined>>)[base];
  if (before === undefined) return undefined;
  const show = (value: number): string =>
    base === 'accuracy' || base === 'sparsity' ? percentText(value) : value.toLocaleString(undefined, { maximumFractionDigits: 3 });
  if (base !== name) return vscode.l10n.t('Last run: **{0}**', show(before));
  const best = snapshot.summary.best;
  const after =
    best &&
    {
      accuracy: best.accuracy,
      flops: best.cost.macs,
      params: best.cost.params,
      bytes: best.cost.weightBytes,
      channels: best.cost.channels,
      latency: best.latency?.[0]?.median,
    }[base];
  return after === undefined
    ? vscode.l10n.t('Last run, before compression: **{0}**', show(before))
    : vscode.l10n.t('Last run: **{0}**, before compression {1}', show(after), show(before));
}

/** The picture of one stage's reward as Markdown; undefined where its formula cannot be read. */
export function previewMarkdown(
  document: vscode.TextDocument,
  stage: 'prune' | 'quantize',
  snapshot: RunSnapshot | undefined,
): string | undefined {
  const preview = configLanguage();
  const { config } = preview.parseConfigText(document.getText());
  if (!config) return undefined;
  const { reward, goal } = config;
  const original = snapshot?.measures0 ?? preview.EXAMPLE_CONTEXT.original;
  const context: RewardContext = {
    ...preview.EXAMPLE_CONTEXT,
    original,
    lambda: reward.lambda,
    targetSparsity: reward.targetSparsity,
    ...(goal.flops === undefined ? {} : { budget: goal.flops <= 1 ? goal.flops * original.flops : goal.flops }),
    ...(reward.targetAccuracy === undefined ? {} : { targetAccuracy: reward.targetAccuracy }),
    ...(goal.maxAccuracyDrop === undefined ? {} : { dropBound: goal.maxAccuracyDrop }),
  };
  const points = (snapshot?.candidates ?? [])
    .filter((c) => !c.partial && c.stage === stage)
    .map((c) => ({ accuracy: c.accuracy, flops: c.cost.macs }));
  const flops = points.map((point) => point.flops);
  const options = {
    context,
    points,
    flopsHigh: Math.max(original.flops, ...flops),
    flopsLow: flops.length > 0 ? Math.min(...flops) : original.flops * 0.1,
  };
  const grid = preview.rewardGrid(reward[stage], reward.constants, options);
  if (!grid) return undefined;
  const caption = snapshot
    ? vscode.l10n.t('The reward over accuracy and FLOPs; points are candidates of the last run.')
    : vscode.l10n.t('The reward over accuracy and FLOPs, of an example network.');
  return `![${caption}](${svgImage(preview.previewSvg(grid, options))})\n\n${caption}`;
}
