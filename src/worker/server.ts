/** The requests of worker-messages.ts, served over the engine. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { parse as parseJson } from 'jsonc-parser';
import { type CancellationToken, type MessageConnection, ResponseError } from 'vscode-jsonrpc/node';
import { version } from '../../package.json';
import { loadTensorBackend } from '../engine/agents/tensor-backend';
import { UserError } from '../engine/errors';
import { formatOf, loadAnyModel, modelHash } from '../engine/formats/registry';
import { findChannelGroups } from '../engine/graph/channel-groups';
import { layerGraph } from '../engine/graph/layer-graph';
import { normalize } from '../engine/graph/passes/normalize';
import { findMethod } from '../engine/methods/registry';
import { runtimeVersion } from '../engine/runtime/onnxruntime';
import { chooseData } from '../engine/search/choose-data';
import { exportCandidate } from '../engine/search/export-candidate';
import { prepare } from '../engine/search/prepare';
import { thisMachine } from '../engine/search/recorder';
import { isFinished } from '../engine/search/run';
import { rewardContext } from '../engine/search/run-context';
import { listRunFolders, modelName, RunFolder } from '../engine/search/run-folder';
import { scanSensitivity, sensitivityFolder } from '../engine/search/sensitivity';
import { cachedSensitivity } from '../engine/search/sensitivity-cache';
import { writeSensitivityReport } from '../engine/search/sensitivity-report';
import { readRunSnapshot } from '../engine/search/snapshot';
import { trainBaseline } from '../engine/search/train-baseline';
import { type Config, configSchema, METHOD_NAMES, type MethodName } from '../protocol/config';
import { type ConfigProblem, parseConfigText } from '../protocol/config-file';
import { durationText } from '../protocol/duration';
import type { Sensitivity } from '../protocol/layer-graph';
import { rescore } from '../protocol/reward/rescore';
import { compileReward } from '../protocol/reward/reward';
import type { RunSnapshot } from '../protocol/run-summary';
import * as messages from '../protocol/worker-messages';
import { importDefinition } from './import-definition';
import { withLayout } from './layout';
import { RunQueue } from './run-queue';

/** JSON-RPC's answer to a request that was cancelled, as the language server protocol has it. */
const REQUEST_CANCELLED = -32800;

const LEVELS: readonly messages.LogLevel[] = ['trace', 'debug', 'info', 'warning', 'error'];

export interface ThreadFiles {
  readonly actor?: string;
  readonly augment?: string;
  readonly sensitivity?: string;
}

function methodInfo(name: MethodName): messages.MethodInfo {
  const { title, description, source } = findMethod(name);
  return { name, title, description, source };
}

export class WorkerServer {
  private settings: messages.InitializeParams = { version, workspaceFolders: [], trusted: false, logLevel: 'info' };
  private readonly queue: RunQueue;

  constructor(
    private readonly connection: MessageConnection,
    private readonly threads: ThreadFiles,
  ) {
    this.queue = new RunQueue({
      threads,
      changed: (snapshot) => this.tell(connection.sendNotification(messages.runChanged, snapshot)),
      log: (level, message) => this.log(level, message),
    });
  }

  listen(): void {
    const { connection } = this;
    const serve =
      <P, R>(work: (params: P, signal: AbortSignal) => Promise<R>) =>
      async (params: P, token: CancellationToken): Promise<R | ResponseError<messages.UserErrorData>> => {
        const controller = new AbortController();
        const cancelled = token.onCancellationRequested(() => controller.abort(new Error('cancelled')));
        try {
          return await work(params, controller.signal);
        } catch (e) {
          // What was asked for is no failure.
          return controller.signal.aborted ? new ResponseError(REQUEST_CANCELLED, 'cancelled') : this.failure(e);
        } finally {
          cancelled.dispose();
        }
      };
    connection.onRequest(
      messages.initialize,
      serve((p) => this.initialize(p)),
    );
    connection.onRequest(
      messages.inspectModel,
      serve((p) => this.inspect(p)),
    );
    connection.onRequest(
      messages.startRun,
      serve((p) => this.start(p)),
    );
    connection.onRequest(
      messages.resumeRun,
      serve((p) => this.resume(p)),
    );
    connection.onRequest(
      messages.pauseRun,
      serve((p) => this.stop(p, 'pause')),
    );
    connection.onRequest(
      messages.stopRun,
      serve((p) => this.stop(p, 'end')),
    );
    connection.onRequest(
      messages.listMethods,
      serve(async () => METHOD_NAMES.map(methodInfo)),
    );
    connection.onRequest(
      messages.listRuns,
      serve((p) => this.list(p)),
    );
    connection.onRequest(
      messages.readRun,
      serve((p) => this.read(p)),
    );
    connection.onRequest(
      messages.sensitivity,
      serve((p, signal) => this.sensitivity(p, signal)),
    );
    connection.onRequest(
      messages.trainModel,
      serve((p, signal) => this.train(p, signal)),
    );
    connection.onRequest(
      messages.sensitivityReport,
      serve((p) => this.sensitivityReport(p)),
    );
    connection.onRequest(
      messages.exportCandidate,
      serve((p, signal) => this.export(p, signal)),
    );
    connection.onRequest(
      messages.importDefinition,
      serve((p, signal) => this.importDefinition(p, signal)),
    );
    connection.onRequest(
      messages.rescoreRun,
      serve((p) => this.rescore(p)),
    );
    connection.onNotification(messages.dataFolderChanged, ({ dataFolder }) => {
      this.settings = { ...this.settings, dataFolder };
    });
    connection.listen();
  }

  /** Ends every run with all of it on disk. @param reason why, in words for their journals */
  async close(reason: string): Promise<void> {
    await this.queue.stopAll(reason);
    this.connection.dispose();
  }

  log(level: messages.LogLevel, message: string): void {
    if (LEVELS.indexOf(level) >= LEVELS.indexOf(this.settings.logLevel))
      this.tell(this.connection.sendNotification(messages.log, { level, message }));
  }

  /** Once the parent is gone nobody listens, while the runs are still being put in order: that is no reason to die. */
  private tell(sending: Promise<void>): void {
    sending.catch(() => undefined);
  }

  private failure(e: unknown): ResponseError<messages.UserErrorData> {
    const error = e as Error;
    if (e instanceof UserError) return new ResponseError(messages.USER_ERROR_CODE, e.message, { kind: 'user', hint: e.hint });
    this.log('error', error.stack ?? error.message);
    return new ResponseError(-32603, error.message);
  }

  private async initialize(params: messages.InitializeParams): Promise<messages.InitializeResult> {
    if (params.version !== version)
      throw new UserError(
        `the extension is ${params.version}, but its worker is ${version}`,
        'Reinstall the extension and reload the window.',
      );
    this.settings = params;
    const backend = await loadTensorBackend('auto');
    const versions = { espalier: version, node: process.versions.node, onnxruntime: await runtimeVersion(), tfjs: backend.name };
    return { version, machine: thisMachine(), versions, backend: backend.name };
  }

  /** Runs the module that builds the model. */
  private async importDefinition(params: messages.ImportDefinitionParams, signal: AbortSignal): Promise<messages.ImportDefinitionResult> {
    if (!this.settings.trusted)
      throw new UserError(
        `${params.file} is not imported: this workspace is not trusted, and importing a module runs it`,
        'Trust the workspace first.',
      );
    await importDefinition(params, signal);
    return { path: params.to };
  }

  private async inspect({ path, layout }: messages.InspectModelParams) {
    const { model } = normalize(await loadAnyModel(path));
    const graph = layerGraph(model, { modelPath: path, sha256: await modelHash(path), format: (await formatOf(path)).name });
    return layout ? withLayout(graph) : graph;
  }

  private async start(params: messages.StartRunParams): Promise<messages.StartRunResult> {
    const refused = (problems: readonly ConfigProblem[], message: string, hint?: string): messages.StartRunResult => ({
      started: false,
      problems,
      message,
      hint,
    });
    const text =
      params.configText ?? (params.configPath && existsSync(params.configPath) ? readFileSync(params.configPath, 'utf8') : undefined);
    if (text === undefined) return refused([], `${params.configPath ?? 'the config'}: no such file`);
    const { config, problems } = parseConfigText(text);
    if (!config) return refused(problems, problems[0].message);
    try {
      const begun = await this.queue.start({
        config,
        folder: params.folder,
        configPath: params.configPath,
        dataFolder: this.settings.dataFolder,
      });
      return { started: true, ...begun };
    } catch (e) {
      if (e instanceof UserError) return refused(problems, e.message, e.hint);
      throw e;
    }
  }

  private async resume({ folder }: messages.RunReference): Promise<messages.StartRunResult> {
    const run = RunFolder.open(folder);
    if (isFinished(folder))
      return {
        started: false,
        problems: [],
        message: `${run.id} is finished: there is nothing to resume`,
        hint: `Its report is ${run.report}.`,
      };
    return { started: true, ...this.queue.resume(folder) };
  }

  private async stop({ folder }: messages.RunReference, how: 'pause' | 'end') {
    const summary = await this.queue.stop(folder, how);
    if (!summary) throw new UserError(`${folder} is not a run folder`);
    return summary;
  }

  private async list({ folders }: messages.ListRunsParams) {
    return listRunFolders(folders).flatMap((f) => (this.queue.live(f.path) ?? readRunSnapshot(f.path))?.summary ?? []);
  }

  private async read({ folder }: messages.RunReference): Promise<RunSnapshot> {
    const snapshot = this.queue.live(folder) ?? readRunSnapshot(resolve(folder));
    if (!snapshot) throw new UserError(`${folder} is not a run folder: it has no journal.jsonl`);
    return snapshot;
  }

  private async sensitivity(params: messages.SensitivityParams, signal: AbortSignal): Promise<Sensitivity> {
    const { modelPath, configPath, progressToken } = params;
    const caches = this.cacheFolders(modelPath, configPath);
    if (params.cachedOnly) {
      const { model } = normalize(await loadAnyModel(modelPath));
      const hash = await modelHash(modelPath);
      const channels = new Map(layerGraph(model, { modelPath, sha256: hash }).groups.map((g) => [g.id, g.channels]));
      for (const folder of caches) {
        const cached = cachedSensitivity(folder, hash, channels);
        if (cached) return { ...cached, modelPath };
      }
      return {
        modelPath,
        sha256: hash,
        baseline: 0,
        images: 1,
        measure: 'accuracy',
        groups: [],
        layers: [],
        done: 0,
        total: 0,
        seconds: 0,
      };
    }
    const folder = dirname(configPath ?? modelPath);
    const config = await this.sensitivityConfig(modelPath, configPath);
    const tell = (message: string, fraction?: number): void => {
      if (progressToken !== undefined)
        this.tell(this.connection.sendNotification(messages.progress, { token: progressToken, message, fraction }));
    };
    tell('Reading model and data');
    const prepared = await prepare(config, { folder, dataFolder: this.settings.dataFolder, threads: config.threads, signal });
    return scanSensitivity(prepared, config, {
      groups: params.groups,
      layers: params.layers,
      refresh: params.refresh,
      cacheFolder: caches[0],
      threadFile: this.threads.sensitivity,
      signal,
      onProgress: (s) => {
        tell(`${s.done} of ${s.total} points`, s.total > 0 ? s.done / s.total : undefined);
        this.tell(this.connection.sendNotification(messages.sensitivityChanged, s));
      },
    });
  }

  private async train(
    { configPath, folder, progressToken }: messages.TrainModelParams,
    signal: AbortSignal,
  ): Promise<messages.TrainModelResult> {
    const { config, problems } = parseConfigText(readFileSync(configPath, 'utf8'));
    if (!config) throw new UserError(`${configPath}: ${problems[0].message}`, 'Correct the config.');
    const { path, accuracy, images } = await trainBaseline(config, {
      folder,
      dataFolder: this.settings.dataFolder,
      augmentThread: this.threads.augment,
      signal,
      onProgress: ({ epoch, epochs, step, steps, secondsLeft }) => {
        if (progressToken === undefined) return;
        const message = `epoch ${epoch + 1} of ${epochs}, ${durationText(secondsLeft)} left`;
        const fraction = step / steps;
        this.tell(this.connection.sendNotification(messages.progress, { token: progressToken, message, fraction }));
      },
    });
    return { path, accuracy, images };
  }

  private async sensitivityReport({ modelPath, configPath }: messages.SensitivityReportParams): Promise<messages.SensitivityReportResult> {
    const { model } = normalize(await loadAnyModel(modelPath));
    const { groups } = findChannelGroups(model);
    const hash = await modelHash(modelPath);
    const channels = new Map(groups.map((g) => [g.id, g.channels]));
    for (const folder of this.cacheFolders(modelPath, configPath)) {
      const scan = cachedSensitivity(folder, hash, channels);
      if (scan && scan.done > 0) return writeSensitivityReport(join(folder, modelName(modelPath)), { ...scan, modelPath }, groups);
    }
    throw new UserError(`the sensitivity of ${modelPath} has not been measured yet`, 'Use "Espalier: Analyze Layer Sensitivity" first.');
  }

  /** The config's, with the model that was asked for; what names no data has the data set that suits the model. */
  private async sensitivityConfig(modelPath: string, configPath: string | undefined): Promise<Config> {
    const suiting = async (): Promise<string> => (await chooseData(modelPath, this.settings.dataFolder)).name;
    if (configPath === undefined) return configSchema.parse({ model: modelPath, data: { name: await suiting() } });
    const text = readFileSync(configPath, 'utf8');
    const { config, problems } = parseConfigText(text);
    if (!config) throw new UserError(`${configPath}: ${problems[0].message}`, 'Correct the config.');
    if ('data' in (parseJson(text) as object)) return { ...config, model: modelPath };
    try {
      return configSchema.parse({ ...(parseJson(text) as object), model: modelPath, data: { name: await suiting() } });
    } catch (e) {
      // The default data may still fit; where it does not, that is said with both shapes.
      if (e instanceof UserError) return { ...config, model: modelPath };
      throw e;
    }
  }

  /** Where scans may be cached, the place for new ones first. */
  private cacheFolders(modelPath: string, configPath: string | undefined): string[] {
    const inside = this.settings.workspaceFolders.find((f) => !relative(f, modelPath).startsWith('..'));
    const folders = [configPath && dirname(configPath), inside, ...this.settings.workspaceFolders, dirname(modelPath)];
    return [...new Set(folders.filter((f): f is string => f !== undefined && f !== '').map(sensitivityFolder))];
  }

  private async export({ folder, candidate, to, format }: messages.ExportCandidateParams, signal: AbortSignal) {
    if (format !== 'onnx') throw new UserError(`there is no export format '${format}'`, 'Known: onnx.');
    return exportCandidate(folder, candidate, to, { dataFolder: this.settings.dataFolder, signal });
  }

  private async rescore({ folder, stage, reward, constants }: messages.RescoreParams): Promise<messages.RescoreResult> {
    const { reward: compiled, problems } = compileReward(reward, constants);
    if (!compiled) return { problems };
    const snapshot = await this.read({ folder });
    const run = RunFolder.open(folder);
    const parsed = configSchema.safeParse(run.readJson<{ config: unknown }>(run.config)?.config);
    if (!parsed.success) throw new UserError(`${run.config} is damaged`, 'Start the run anew.');
    if (!snapshot.measures0) throw new UserError(`run ${run.id} has measured nothing yet`, 'Wait for its first episode.');
    const candidates = snapshot.candidates.filter((c) => c.stage === stage);
    const context = rewardContext({ config: parsed.data, original: snapshot.measures0 });
    return { rescoring: rescore(candidates, compiled, context), formula: compiled.formula };
  }
}

/** The bundled threads, which lie beside the worker's own bundle. */
export function threadFilesIn(folder: string): ThreadFiles {
  const bundled = (name: string): string | undefined => (existsSync(join(folder, name)) ? join(folder, name) : undefined);
  return { actor: bundled('actor-thread.js'), augment: bundled('augment-thread.js'), sensitivity: bundled('sensitivity-thread.js') };
}
