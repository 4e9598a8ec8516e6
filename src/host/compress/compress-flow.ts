/** "Compress Model…": model, data, goal, method and effort, then a config file and its run. What can be checked is checked before anything starts. */
import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import * as vscode from 'vscode';
import type { MethodName } from '../../protocol/config';
import type { LayerGraph } from '../../protocol/layer-graph';
import type { MethodInfo } from '../../protocol/worker-messages';
import { configLanguage } from '../load-config-language';
import { HostProblem } from '../problems';
import { countText } from '../runs/run-text';
import { diskPath, findModels, pathFrom, requireTrust, shownPath } from '../workspace-files';
import {
  type CompressChoices,
  configText,
  type DataChoice,
  EFFORT_EPISODES,
  type EffortName,
  fittingData,
  type GoalChoice,
  shareOfPercent,
} from './choices';
import { askText, pickOne, runSteps, type Step, type StepItem, type StepPlace } from './quick-steps';

/** What the flow knows of a model before it asks. */
export interface ChosenModel {
  /** Absolute path of what the worker reads. */
  readonly path: string;
  /** Folder of the config to be written. */
  readonly folder: string;
  readonly name: string;
  readonly definition?: CompressChoices['definition'];
  /** The config that is known to be about it. */
  readonly configFile?: string;
}

export interface CompressPlan {
  readonly configFile: string;
  readonly text: string;
  /** True where the file is there and only lacks the answers. */
  readonly completes?: boolean;
  readonly start: boolean;
}

interface State {
  readonly model?: ChosenModel;
  readonly graph?: LayerGraph;
  readonly data?: DataChoice;
  readonly goal?: GoalChoice;
  readonly method?: MethodName;
  readonly effort?: EffortName;
  readonly start?: boolean;
}

const DATA_EXTENSIONS = ['npz', 'npy'];

export function modelOf(path: string): ChosenModel {
  const file = basename(path);
  // A TensorFlow.js model is named by its folder.
  const name = file === 'model.json' || file === 'saved_model.pb' ? basename(dirname(path)) : file.replace(/\.[^.]+$/, '');
  return { path, folder: dirname(path), name };
}

/** What the questions need to know of the engine. */
export interface CompressFacts {
  /** Reads a model, so that data and sizes fit and an unreadable file is said at once. */
  readonly inspect: (path: string) => Promise<LayerGraph>;
  readonly methods: () => Promise<readonly MethodInfo[]>;
}

/** Asks for what is open and returns what to write and whether to start; undefined where the person left. */
export async function askCompression(
  chosen: ChosenModel | undefined,
  { inspect, methods }: CompressFacts,
): Promise<CompressPlan | undefined> {
  requireTrust(vscode.l10n.t('A run'));
  const steps: Array<Step<State>> = [];
  if (!chosen) steps.push(askModel);
  steps.push(
    async (state, place) => {
      // Read while the person thinks; a model that cannot be read ends the flow with its reason.
      const graph = state.graph ?? (await inspect(state.model!.path));
      return askData({ ...state, graph }, place);
    },
    askGoal,
    (state, place) => askMethod(state, place, methods()),
    askEffort,
    askStart,
  );
  const state = await runSteps<State>(vscode.l10n.t('Compress Model'), chosen ? { model: chosen } : {}, steps);
  if (!state?.model || !state.data || !state.goal || !state.method || !state.effort || state.start === undefined) return undefined;
  const { model, data, goal, method, effort } = state;
  const relative = (file: string): string => pathFrom(model.folder, file);
  const text = configText({
    model: relative(model.path),
    ...(model.definition ? { definition: model.definition } : {}),
    data:
      data.kind === 'files'
        ? {
            kind: 'files',
            ...(data.train === undefined ? {} : { train: relative(data.train) }),
            ...(data.test === undefined ? {} : { test: relative(data.test) }),
          }
        : data.kind === 'inputs'
          ? { kind: 'inputs', inputs: relative(data.inputs) }
          : data,
    goal,
    method,
    effort,
  });
  const known = model.configFile ?? firstConfigFile(model);
  const bare = await bareConfig(known);
  if (bare === undefined) return { configFile: freeConfigFile(model), text, start: state.start };
  return { configFile: known, text: configLanguage().completedConfig(bare, text), completes: true, start: state.start };
}

/** The text of a config that has answered no question yet; undefined for any other. What is not saved of it is saved first. */
export async function bareConfig(file: string): Promise<string | undefined> {
  const open = vscode.workspace.textDocuments.find((document) => document.uri.fsPath === file);
  if (open?.isDirty) await open.save();
  const text = existsSync(file) ? readFileSync(file, 'utf8') : undefined;
  return text !== undefined && configLanguage().isBareConfig(text) ? text : undefined;
}

const firstConfigFile = (model: ChosenModel): string => join(model.folder, `${model.name}.espalier.json`);

/** `<name>.espalier.json` beside the model; numbered where it is taken. */
export function freeConfigFile(model: ChosenModel): string {
  const file = (suffix: string): string => join(model.folder, `${model.name}${suffix}.espalier.json`);
  let free = file('');
  for (let number = 2; existsSync(free); number++) free = file(`-${number}`);
  return free;
}

export async function pickModel(): Promise<string | undefined> {
  const state = await runSteps<State>(vscode.l10n.t('Model'), {}, [askModel]);
  return state?.model?.path;
}

const askModel: Step<State> = async (state, place) => {
  const items = findModels().then((models): Array<StepItem<string>> => {
    const active = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
    const open = active instanceof vscode.TabInputCustom || active instanceof vscode.TabInputText ? active.uri.toString() : undefined;
    const sorted = [...models].sort((a, b) => Number(b.toString() === open) - Number(a.toString() === open));
    return [
      ...sorted.map((uri) => ({
        label: basename(uri.fsPath),
        description: shownPath(dirname(uri.fsPath)),
        iconPath: new vscode.ThemeIcon('file'),
        value: uri.fsPath,
      })),
      { label: vscode.l10n.t('Browse…'), iconPath: new vscode.ThemeIcon('folder-opened'), alwaysShow: true, value: '' },
    ];
  });
  let path = await pickOne(place, vscode.l10n.t('Which model?'), items, (value) => value === state.model?.path);
  if (path === '') {
    const picked = await vscode.window.showOpenDialog({
      title: vscode.l10n.t('Model'),
      filters: { [vscode.l10n.t('Models')]: ['onnx', 'h5', 'keras', 'json', 'pb'] },
    });
    path = picked?.[0] ? diskPath(picked[0]) : undefined;
  }
  if (path === undefined || path === 'back') return path;
  return { model: modelOf(path) };
};

const askData: Step<State> = async (state, place) => {
  const graph = state.graph!;
  const fitting = fittingData(graph.inputs[0]?.shape ?? null);
  const details: Readonly<Record<string, string>> = {
    digits: vscode.l10n.t('generated, needs no files'),
    mnist: vscode.l10n.t('from the data folder of the settings, or the variable ESPALIER_DATA'),
    'fashion-mnist': vscode.l10n.t('from the data folder of the settings, or the variable ESPALIER_DATA'),
    cifar10: vscode.l10n.t('from the data folder of the settings, or the variable ESPALIER_DATA'),
  };
  const files = await vscode.workspace.findFiles('**/*.{npz,npy}', '**/{node_modules,.espalier}/**', 100);
  const items: Array<StepItem<DataChoice | { readonly kind: 'browse' } | { readonly kind: 'browse-inputs' }>> = [
    ...fitting.map((name) => ({
      label: name,
      description: details[name],
      iconPath: new vscode.ThemeIcon('database'),
      value: { kind: 'named' as const, name },
    })),
    ...files
      .filter((uri) => uri.path.endsWith('.npz'))
      .map((uri) => ({
        label: basename(uri.fsPath),
        description: vscode.l10n.t('inputs and labels, {0}', shownPath(uri.fsPath)),
        iconPath: new vscode.ThemeIcon('file'),
        value: { kind: 'files' as const, test: uri.fsPath },
      })),
    ...files
      .filter((uri) => uri.path.endsWith('.npy'))
      .map((uri) => ({
        label: basename(uri.fsPath),
        description: vscode.l10n.t('inputs without labels: scored by agreement with the original, {0}', shownPath(uri.fsPath)),
        iconPath: new vscode.ThemeIcon('file'),
        value: { kind: 'inputs' as const, inputs: uri.fsPath },
      })),
    {
      label: vscode.l10n.t('Test data…'),
      description: vscode.l10n.t('an npz file with inputs and labels'),
      iconPath: new vscode.ThemeIcon('folder-opened'),
      value: { kind: 'browse' },
    },
    {
      label: vscode.l10n.t('Inputs without labels…'),
      description: vscode.l10n.t('npy or npz; candidates are scored by agreement with the original'),
      iconPath: new vscode.ThemeIcon('folder-opened'),
      value: { kind: 'browse-inputs' },
    },
  ];
  const shape = (graph.inputs[0]?.shape ?? []).map((axis) => axis ?? '?').join(' × ');
  const data = await pickOne(
    place,
    vscode.l10n.t('What is it tested on? Its input is {0}; it has {1} MACs.', shape || '?', countText(graph.macs)),
    items,
  );
  if (data === undefined || data === 'back') return data;
  if (data.kind !== 'browse' && data.kind !== 'browse-inputs') return { ...state, data };
  const picked = await vscode.window.showOpenDialog({ title: vscode.l10n.t('Data'), filters: { NumPy: DATA_EXTENSIONS } });
  if (!picked?.[0]) return undefined;
  const file = diskPath(picked[0]);
  return { ...state, data: data.kind === 'browse' ? { kind: 'files', test: file } : { kind: 'inputs', inputs: file } };
};

const askGoal: Step<State> = async (state, place) => {
  const items: Array<StepItem<GoalChoice | 'other'>> = [
    {
      label: vscode.l10n.t('Half the computation'),
      description: vscode.l10n.t('at most 50 % of the MACs, at most 1 point of accuracy'),
      value: { flops: 0.5, maxAccuracyDrop: 0.01 },
    },
    {
      label: vscode.l10n.t('Small file'),
      description: vscode.l10n.t('at most 15 % of the bytes, at most 1 point of accuracy'),
      value: { bytes: 0.15, maxAccuracyDrop: 0.01 },
    },
    {
      label: vscode.l10n.t('As far as accuracy holds'),
      description: vscode.l10n.t('at most half a point of accuracy'),
      value: { maxAccuracyDrop: 0.005 },
    },
    { label: vscode.l10n.t('No goal'), description: vscode.l10n.t('the reward alone decides'), value: {} },
    { label: vscode.l10n.t('Other…'), iconPath: new vscode.ThemeIcon('edit'), value: 'other' },
  ];
  const goal = await pickOne(place, vscode.l10n.t('What must the result keep to?'), items);
  if (goal === undefined || goal === 'back') return goal;
  if (goal !== 'other') return { ...state, goal };
  const check = (text: string): string | undefined =>
    shareOfPercent(text) === undefined ? vscode.l10n.t('A number of percent, 0 to 100.') : undefined;
  const flops = await askText(place, vscode.l10n.t('Most MACs, in percent of the original'), '50', (text) =>
    shareOfPercent(text) === 0 ? vscode.l10n.t('More than 0 percent.') : check(text),
  );
  if (flops === undefined || flops === 'back') return flops;
  const drop = await askText(place, vscode.l10n.t('Largest loss of accuracy, in percentage points'), '1', check);
  if (drop === undefined || drop === 'back') return drop;
  return { ...state, goal: { flops: shareOfPercent(flops)!, maxAccuracyDrop: shareOfPercent(drop)! } };
};

async function askMethod(state: State, place: StepPlace, methods: Promise<readonly MethodInfo[]>): Promise<State | 'back' | undefined> {
  const recommended: Array<StepItem<MethodName>> = [
    {
      label: vscode.l10n.t('Two-stage PPO'),
      description: vscode.l10n.t('prunes, then quantises; learns from every layer it decides'),
      value: 'two-stage-ppo',
    },
    {
      label: vscode.l10n.t('Episodic PPO'),
      description: vscode.l10n.t('the same agent, rewarded at the end of an episode'),
      value: 'episodic-ppo',
    },
    { label: vscode.l10n.t('Random search'), description: vscode.l10n.t('a baseline with the same budget'), value: 'random-search' },
    {
      label: vscode.l10n.t('Uniform'),
      description: vscode.l10n.t('a baseline: the same ratio and bits for every layer'),
      value: 'uniform',
    },
  ];
  const items = methods.then(
    (all): Array<StepItem<MethodName>> => [
      ...recommended,
      { label: vscode.l10n.t('All the others'), kind: vscode.QuickPickItemKind.Separator },
      ...all
        .filter(({ name }) => !recommended.some(({ value }) => value === name))
        .map(({ name, title, description }) => ({ label: title, description: name, detail: description, value: name })),
    ],
  );
  const method = await pickOne(place, vscode.l10n.t('Which method?'), items, (value) => value === (state.method ?? 'two-stage-ppo'));
  return method === undefined || method === 'back' ? method : { ...state, method };
}

const askEffort: Step<State> = async (state, place) => {
  const text = (effort: EffortName): string => vscode.l10n.t('{0} episodes a stage', EFFORT_EPISODES[effort]);
  const items: Array<StepItem<EffortName>> = [
    { label: vscode.l10n.t('Standard'), description: text('standard'), value: 'standard' },
    { label: vscode.l10n.t('Quick look'), description: text('quick'), value: 'quick' },
    { label: vscode.l10n.t('Thorough'), description: text('thorough'), value: 'thorough' },
  ];
  const effort = await pickOne(place, vscode.l10n.t('How long to search?'), items, (value) => value === (state.effort ?? 'standard'));
  return effort === undefined || effort === 'back' ? effort : { ...state, effort };
};

const askStart: Step<State> = async (state, place) => {
  const items: Array<StepItem<'start' | 'write'>> = [
    { label: vscode.l10n.t('Write the config and start'), iconPath: new vscode.ThemeIcon('play'), value: 'start' },
    { label: vscode.l10n.t('Write the config only'), iconPath: new vscode.ThemeIcon('edit'), value: 'write' },
  ];
  const choice = await pickOne(place, vscode.l10n.t('Ready.'), items);
  return choice === undefined || choice === 'back' ? choice : { ...state, start: choice === 'start' };
};

/** Writes a config and refuses where it came to be in the meantime, unless it is to be completed. */
export async function writeConfig(plan: Pick<CompressPlan, 'configFile' | 'text' | 'completes'>): Promise<vscode.Uri> {
  const uri = vscode.Uri.file(plan.configFile);
  if (!plan.completes && existsSync(plan.configFile))
    throw new HostProblem(vscode.l10n.t('{0} exists already.', shownPath(plan.configFile)), vscode.l10n.t('Rename it or run it as it is.'));
  await vscode.workspace.fs.writeFile(uri, new TextEncoder().encode(plan.text));
  return uri;
}
