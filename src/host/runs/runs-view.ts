/** The runs as a tree: status and figures on one line each, more figures below. */
import * as vscode from 'vscode';
import { originalOf } from '../../protocol/original-of';
import type { RunStatus, RunSummary } from '../../protocol/run-summary';
import { commandLink } from '../commands';
import { problemText } from '../problems';
import { isActive } from './run-order';
import type { RunStore } from './run-store';
import { achievementText, bytesText, changeText, countText, percentText, pointsText, secondsText, sizeOf } from './run-text';
import { statusText } from './status-text';

/** Icon and colour of each status; the description says it in words as well. */
const ICONS: Readonly<Record<RunStatus, readonly [icon: string, color: string]>> = {
  queued: ['clock', 'charts.foreground'],
  running: ['sync~spin', 'charts.blue'],
  finished: ['pass', 'charts.green'],
  interrupted: ['debug-disconnect', 'charts.yellow'],
  failed: ['error', 'charts.red'],
};

/** Of interrupted runs that a person paused or stopped: nothing is wrong. */
const PAUSED = ['debug-pause', 'charts.foreground'] as const;
const STOPPED = ['debug-stop', 'charts.foreground'] as const;

export class RunItem extends vscode.TreeItem {
  readonly folder: string;

  constructor(readonly run: RunSummary) {
    super(run.name, vscode.TreeItemCollapsibleState.Collapsed);
    this.folder = run.folder;
    this.id = run.folder;
    const achieved = achievementText(run);
    const episodes = isActive(run) && run.episodes > 0 ? vscode.l10n.t('episode {0} of {1}', run.episode, run.episodes) : undefined;
    this.description = [statusText(run), episodes, achieved].filter((part) => part !== undefined).join(' · ');
    const [icon, color] = run.paused ? PAUSED : run.stopped ? STOPPED : ICONS[run.status];
    this.iconPath = new vscode.ThemeIcon(icon, new vscode.ThemeColor(color));
    this.contextValue = `run-${run.status}${run.paused ? '-paused' : ''}${run.resumable ? '-resumable' : ''}`;
    this.tooltip = [`${run.name}: ${this.description}`, run.reason, run.folder].filter((line) => line !== undefined).join('\n');
    this.accessibilityInformation = { label: `${run.name}, ${this.description}` };
    this.command = commandLink('espalier.openRun', vscode.l10n.t('Open Run'), { folder: run.folder });
  }
}

class FigureItem extends vscode.TreeItem {
  constructor(label: string, text: string, icon: string) {
    super(label, vscode.TreeItemCollapsibleState.None);
    this.description = text;
    this.iconPath = new vscode.ThemeIcon(icon);
    this.tooltip = `${label}: ${text}`;
  }
}

type Item = RunItem | FigureItem;

export class RunsView implements vscode.TreeDataProvider<Item> {
  private readonly changed = new vscode.EventEmitter<Item | undefined>();
  readonly onDidChangeTreeData = this.changed.event;

  constructor(
    private readonly store: RunStore,
    private readonly log: vscode.LogOutputChannel,
  ) {
    store.onDidChange(() => this.changed.fire(undefined));
  }

  getTreeItem(item: Item): vscode.TreeItem {
    return item;
  }

  async getChildren(item?: Item): Promise<Item[]> {
    if (item instanceof RunItem) return figuresOf(item.run);
    if (item) return [];
    const runs = await this.store.list().catch((error: unknown) => {
      // An empty view with its welcome text is still of use.
      this.log.warn(problemText(error));
      return this.store.runs;
    });
    return runs.map((run) => new RunItem(run));
  }
}

function figuresOf(run: RunSummary): FigureItem[] {
  const { best } = run;
  const original = originalOf(run, best);
  const items: FigureItem[] = [];
  if (run.reason !== undefined) items.push(new FigureItem(vscode.l10n.t('Reason'), run.reason, 'info'));
  if (original && best) {
    const change = (before: number, after: number, text: (n: number) => string): string =>
      `${text(before)} → ${text(after)} (${changeText(before, after)})`;
    items.push(
      new FigureItem(
        vscode.l10n.t('Accuracy'),
        `${percentText(original.accuracy)} → ${percentText(best.accuracy)} (${pointsText(original.accuracy, best.accuracy)}, ${vscode.l10n.t('{0} images', best.images)})`,
        'target',
      ),
      new FigureItem(vscode.l10n.t('MACs'), change(original.cost.macs, best.cost.macs, countText), 'dashboard'),
      new FigureItem(vscode.l10n.t('Parameters'), change(original.cost.params, best.cost.params, countText), 'symbol-number'),
      new FigureItem(vscode.l10n.t('Size'), change(sizeOf(original.cost), sizeOf(best.cost), bytesText), 'package'),
    );
    for (const latency of best.latency ?? [])
      items.push(
        new FigureItem(
          vscode.l10n.t('Latency'),
          vscode.l10n.t(
            '{0} ms at batch {1}, median of {2} runs ({3} to {4})',
            latency.median.toFixed(2),
            latency.batch,
            latency.runs,
            latency.low.toFixed(2),
            latency.high.toFixed(2),
          ),
          'watch',
        ),
      );
  }
  if (run.goalMet !== undefined)
    items.push(
      new FigureItem(
        vscode.l10n.t('Goal'),
        run.goalMet ? vscode.l10n.t('met') : vscode.l10n.t('not met; this is the best so far'),
        run.goalMet ? 'check' : 'warning',
      ),
    );
  items.push(
    new FigureItem(vscode.l10n.t('Method'), run.method, 'beaker'),
    new FigureItem(vscode.l10n.t('Time'), secondsText(run.secondsElapsed), 'history'),
    new FigureItem(vscode.l10n.t('Started'), new Date(run.startedAt).toLocaleString(), 'calendar'),
  );
  return items;
}
