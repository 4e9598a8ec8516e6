/**
 * Messages between the extension host and the worker: typed JSON-RPC descriptors, each declared once and used at both ends.
 * Both processes come from one build, so these are typed and not checked again at run time; what a web view sends is (panel-messages.ts).
 * Cancelling a request is JSON-RPC's own; progress of long ones comes as `progress` notifications with the caller's token.
 */
import { NotificationType, RequestType } from 'vscode-jsonrpc';
import type { MethodName } from './config';
import type { ConfigProblem } from './config-file';
import type { LayerGraph, Sensitivity } from './layer-graph';
import type { FormulaProblem } from './reward/expression';
import type { Rescoring } from './reward/rescore';
import type { Machine } from './run-events';
import type { RunSnapshot, RunSummary } from './run-summary';

/** Data of every error response that a person can act on; an error without it is a bug of ours. */
export interface UserErrorData {
  readonly kind: 'user';
  readonly hint?: string;
}

/** JSON-RPC code of errors that carry UserErrorData. */
export const USER_ERROR_CODE = -32001;

export interface InitializeParams {
  /** Version of the extension: the worker refuses another, which can only be a broken installation. */
  readonly version: string;
  readonly workspaceFolders: readonly string[];
  /** Folder with data sets, from the settings; absent: ESPALIER_DATA. */
  readonly dataFolder?: string;
  /** False in an untrusted workspace: the worker then imports no workspace code. */
  readonly trusted: boolean;
  readonly logLevel: LogLevel;
}

export interface InitializeResult {
  readonly version: string;
  readonly machine: Machine;
  readonly versions: Readonly<Record<string, string>>;
  /** What runs the agent's networks. */
  readonly backend: string;
}

export interface InspectModelParams {
  readonly path: string;
  /** Lays the graph out, for the panel. */
  readonly layout?: boolean;
}

/** A run is described by a config file, or by a config's text that is in no file yet (`folder` is what its paths are relative to). */
export interface StartRunParams {
  readonly configPath?: string;
  readonly configText?: string;
  readonly folder: string;
}

export type StartRunResult =
  | { readonly started: true; readonly runId: string; readonly folder: string }
  /** The checks before the run found something: nothing was started, nothing was written. */
  | { readonly started: false; readonly problems: readonly ConfigProblem[]; readonly message: string; readonly hint?: string };

export interface RunReference {
  readonly folder: string;
}

/** A request that asks for nothing in particular. */
export type NoParams = Readonly<Record<string, never>>;

export interface MethodInfo {
  /** As a config names it. */
  readonly name: MethodName;
  readonly title: string;
  /** What it does, in one sentence. */
  readonly description: string;
  /** The paper, or 'baseline'. */
  readonly source: string;
}

export interface ListRunsParams {
  /** Folders that hold run folders. */
  readonly folders: readonly string[];
}

export interface SensitivityParams {
  readonly modelPath: string;
  /** Where data and pruning settings come from; absent: defaults. */
  readonly configPath?: string;
  /** Only these groups and layers; absent: all. */
  readonly groups?: readonly string[];
  readonly layers?: readonly string[];
  /** Ignores what is cached. */
  readonly refresh?: boolean;
  /** True: only what is cached, at once, without an evaluation. */
  readonly cachedOnly?: boolean;
  readonly progressToken?: string;
}

/** Trains a network from nothing, by the `train` of a config, and writes it to the config's `model`. */
export interface TrainModelParams {
  readonly configPath: string;
  /** What the config's paths are relative to. */
  readonly folder: string;
  readonly progressToken?: string;
}

export interface TrainModelResult {
  readonly path: string;
  /** Accuracy on images that training never saw. */
  readonly accuracy: number;
  readonly images: number;
}

export interface SensitivityReportParams {
  readonly modelPath: string;
  readonly configPath?: string;
}

export interface SensitivityReportResult {
  /** The Markdown file; its curves lie beside it. */
  readonly report: string;
  readonly image: string;
}

export interface ExportCandidateParams {
  readonly folder: string;
  readonly candidate: string;
  readonly to: string;
  readonly format: string;
}

export interface ExportCandidateResult {
  readonly files: readonly string[];
  readonly fileBytes: number;
  readonly brotliBytes: number;
  /** Measured again from the written file, where there is data. */
  readonly accuracy?: number;
  readonly images?: number;
}

/** A TensorFlow.js model that source code builds: the child imports the module (which needs trust), builds the model and writes it as ONNX. */
export interface ImportDefinitionParams {
  readonly file: string;
  /** Exported function, class or variable. */
  readonly name: string;
  /** What a function is called with, as written in the file's language. */
  readonly arguments: string;
  readonly to: string;
}

export interface ImportDefinitionResult {
  /** The ONNX file. */
  readonly path: string;
}

export interface RescoreParams {
  readonly folder: string;
  readonly stage: 'prune' | 'quantize';
  /** A preset or a formula. */
  readonly reward: string;
  readonly constants: Readonly<Record<string, number>>;
}

export type RescoreResult = { readonly rescoring: Rescoring; readonly formula: string } | { readonly problems: readonly FormulaProblem[] };

export type LogLevel = 'trace' | 'debug' | 'info' | 'warning' | 'error';

export interface LogEntry {
  readonly level: LogLevel;
  readonly message: string;
}

export interface ProgressReport {
  readonly token: string;
  readonly message: string;
  /** 0 to 1; absent where it is not known. */
  readonly fraction?: number;
}

export const initialize = new RequestType<InitializeParams, InitializeResult, UserErrorData>('espalier/initialize');
export const inspectModel = new RequestType<InspectModelParams, LayerGraph, UserErrorData>('espalier/inspectModel');
export const startRun = new RequestType<StartRunParams, StartRunResult, UserErrorData>('espalier/startRun');
/** Ends a run's work after the evaluation in flight, to go on later; answers when everything is on disk. */
export const pauseRun = new RequestType<RunReference, RunSummary, UserErrorData>('espalier/pauseRun');
/** The same for good, also of a run that is paused: its best so far is its result. It can be resumed all the same. */
export const stopRun = new RequestType<RunReference, RunSummary, UserErrorData>('espalier/stopRun');
export const resumeRun = new RequestType<RunReference, StartRunResult, UserErrorData>('espalier/resumeRun');
/** The methods that a config may name, in the order in which they are shown. */
export const listMethods = new RequestType<NoParams, readonly MethodInfo[], UserErrorData>('espalier/listMethods');
export const listRuns = new RequestType<ListRunsParams, readonly RunSummary[], UserErrorData>('espalier/listRuns');
export const readRun = new RequestType<RunReference, RunSnapshot, UserErrorData>('espalier/readRun');
export const sensitivity = new RequestType<SensitivityParams, Sensitivity, UserErrorData>('espalier/sensitivity');
export const trainModel = new RequestType<TrainModelParams, TrainModelResult, UserErrorData>('espalier/trainModel');
/** Writes what is cached of a model's sensitivity as a report with curves. An error that people can act on where nothing was measured yet. */
export const sensitivityReport = new RequestType<SensitivityReportParams, SensitivityReportResult, UserErrorData>(
  'espalier/sensitivityReport',
);
export const exportCandidate = new RequestType<ExportCandidateParams, ExportCandidateResult, UserErrorData>('espalier/exportCandidate');
export const importDefinition = new RequestType<ImportDefinitionParams, ImportDefinitionResult, UserErrorData>('espalier/importDefinition');
export const rescoreRun = new RequestType<RescoreParams, RescoreResult, UserErrorData>('espalier/rescore');

/** Where data sets lie from now on, to the worker: for what is asked after it. */
export const dataFolderChanged = new NotificationType<Pick<InitializeParams, 'dataFolder'>>('espalier/dataFolderChanged');

/** The whole state of a run, when it has changed. */
export const runChanged = new NotificationType<RunSnapshot>('espalier/runChanged');
/** The sensitivity of a scan under way, as far as it is known. */
export const sensitivityChanged = new NotificationType<Sensitivity>('espalier/sensitivityChanged');
export const progress = new NotificationType<ProgressReport>('espalier/progress');
export const log = new NotificationType<LogEntry>('espalier/log');
