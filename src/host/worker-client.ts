/**
 * The worker process: forked on first use, again after it died. A dead worker takes nothing with it but the evaluation in flight:
 * its pending requests fail with a sentence, its runs stand on disk as interrupted, and the next request starts another.
 */
import { type ChildProcess, fork } from 'node:child_process';
import * as vscode from 'vscode';
import type { Sensitivity } from '../protocol/layer-graph';
import type { RunSnapshot } from '../protocol/run-summary';
import type { InitializeResult, LogEntry, LogLevel, ProgressReport } from '../protocol/worker-messages';
import { HostProblem } from './problems';
import type { WorkerConnection } from './worker-connection';
import type { WorkerRequestName, WorkerRequests } from './worker-requests';

/** How long a worker may take to put its runs in order when the window closes; VS Code itself waits five seconds. */
const SHUTDOWN_MILLISECONDS = 4000;
const STDERR_KEPT = 4000;

export interface WorkerOptions {
  /** Module that the child runs. */
  readonly module: string;
  readonly version: string;
  readonly log: vscode.LogOutputChannel;
  dataFolder(): string | undefined;
}

export interface WorkerExit {
  /** One sentence: why it ended. */
  readonly reason: string;
}

interface Worker {
  readonly child: ChildProcess;
  readonly connection: WorkerConnection;
  readonly initialized: InitializeResult;
  /** Rejects when the process ends. */
  readonly ended: Promise<never>;
}

/** Numbers the progress of requests apart. */
let nextProgressToken = 0;

export class WorkerClient implements vscode.Disposable {
  private readonly runChanged = new vscode.EventEmitter<RunSnapshot>();
  private readonly sensitivityChanged = new vscode.EventEmitter<Sensitivity>();
  private readonly progressed = new vscode.EventEmitter<ProgressReport>();
  private readonly exited = new vscode.EventEmitter<WorkerExit>();
  /** The worker that requests go to, from its launch to its end. */
  private starting?: Promise<Worker>;
  /** The same once it has started. */
  private current?: Worker;
  /** Resolves when every worker that was stopped has ended. */
  private stopping: Promise<void> = Promise.resolve();
  /** Those that end because they were asked to. */
  private readonly asked = new WeakSet<ChildProcess>();
  readonly onRunChanged = this.runChanged.event;
  readonly onSensitivityChanged = this.sensitivityChanged.event;
  /** Only when it ended without being asked to. */
  readonly onDidExit = this.exited.event;

  constructor(private readonly options: WorkerOptions) {}

  /** Process id, while it runs. */
  get pid(): number | undefined {
    return this.current?.child.pid;
  }

  /** What the running worker said of itself. */
  get description(): InitializeResult | undefined {
    return this.current?.initialized;
  }

  /**
   * Sends a request, starting the worker where none runs.
   * @throws HostProblem where the worker cannot start or ends before it answers; CancellationError where `token` is cancelled
   */
  async request<Name extends WorkerRequestName>(
    name: Name,
    params: WorkerRequests[Name]['params'],
    token?: vscode.CancellationToken,
  ): Promise<WorkerRequests[Name]['result']> {
    let worker = await this.start();
    // It was stopped while it started: the one after it serves.
    if (worker !== this.current) worker = await this.start();
    if (token?.isCancellationRequested) throw new vscode.CancellationError();
    return Promise.race([worker.connection.request(name, params, token), worker.ended]);
  }

  /** Runs `body` with a token for progress reports, which go to `report`. */
  async withProgress<T>(report: (progress: ProgressReport) => void, body: (token: string) => Promise<T>): Promise<T> {
    const token = `progress-${nextProgressToken++}`;
    const subscription = this.progressed.event((progress) => {
      if (progress.token === token) report(progress);
    });
    try {
      return await body(token);
    } finally {
      subscription.dispose();
    }
  }

  /** Tells the worker that runs, or is starting, where data sets lie now. */
  dataFolderChanged(): void {
    this.starting?.then(
      ({ connection }) => connection.dataFolderChanged(this.options.dataFolder()),
      () => undefined,
    );
  }

  /** Ends the worker, giving it time to write down its runs; the next request starts another, also while this one is ending. */
  stop(): Promise<void> {
    const ending = this.starting;
    this.starting = undefined;
    this.current = undefined;
    this.stopping = Promise.all([this.stopping, ending?.then((worker) => this.end(worker)).catch(() => undefined)]).then(() => undefined);
    return this.stopping;
  }

  dispose(): void {
    void this.stop();
    for (const emitter of [this.runChanged, this.sensitivityChanged, this.progressed, this.exited]) emitter.dispose();
  }

  private async end({ child }: Worker): Promise<void> {
    this.asked.add(child);
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    // The worker takes the end of the channel as its sign to stop cleanly.
    if (child.connected) child.disconnect();
    const timer = setTimeout(() => child.kill('SIGKILL'), SHUTDOWN_MILLISECONDS);
    await gone;
    clearTimeout(timer);
  }

  private start(): Promise<Worker> {
    if (this.starting) return this.starting;
    // What ends late, after it was stopped, takes nothing from the worker that came after it.
    const forget = (): void => {
      if (this.starting !== starting) return;
      this.starting = undefined;
      this.current = undefined;
    };
    const starting: Promise<Worker> = this.launch(forget).then(
      (worker) => {
        if (this.starting === starting) this.current = worker;
        return worker;
      },
      (error) => {
        forget();
        throw error;
      },
    );
    this.starting = starting;
    return starting;
  }

  /** @param forget called at the end of the process, before anybody is told of it */
  private async launch(forget: () => void): Promise<Worker> {
    const { log, module, version } = this.options;
    // Electron's binary becomes plain Node by this variable; the host's inspector options must not reach the child.
    const env: NodeJS.ProcessEnv = { ...process.env, ELECTRON_RUN_AS_NODE: '1' };
    delete env['NODE_OPTIONS'];
    const child = fork(module, [], { execPath: process.execPath, execArgv: [], env, stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    let stderr = '';
    child.stderr?.on('data', (data: Buffer) => {
      stderr = (stderr + data.toString()).slice(-STDERR_KEPT);
      log.warn(`worker: ${data.toString().trimEnd()}`);
    });
    child.stdout?.on('data', (data: Buffer) => log.info(`worker: ${data.toString().trimEnd()}`));

    const ended = new Promise<never>((_, reject) => {
      const end = (why: string): void => {
        forget();
        const reason = vscode.l10n.t("Espalier's worker process ended ({0}).", why);
        reject(new HostProblem(reason, vscode.l10n.t('It starts again with the next command; a run that was under way can be resumed.')));
        if (this.asked.has(child)) return;
        log.error(`${reason} ${stderr.trim()}`);
        this.exited.fire({ reason });
      };
      child.once('error', (error) => end(error.message));
      child.once('exit', (code, signal) => end(signal ?? vscode.l10n.t('exit code {0}', String(code))));
    });
    // Nobody may be waiting when it ends.
    ended.catch(() => undefined);

    const { connect } = await import('./worker-connection');
    const connection = connect(child, {
      runChanged: (snapshot) => this.runChanged.fire(snapshot),
      sensitivityChanged: (sensitivity) => this.sensitivityChanged.fire(sensitivity),
      progress: (report) => this.progressed.fire(report),
      log: (entry) => this.write(entry),
    });
    const dataFolder = this.options.dataFolder();
    const initialized = await Promise.race([
      connection.request('initialize', {
        version,
        workspaceFolders: (vscode.workspace.workspaceFolders ?? []).map((folder) => folder.uri.fsPath),
        ...(dataFolder === undefined ? {} : { dataFolder }),
        trusted: vscode.workspace.isTrusted,
        logLevel: workerLogLevel(log.logLevel),
      }),
      ended,
    ]).catch((error) => {
      // One that refuses to begin would wait for ever, and each request would leave another behind.
      this.asked.add(child);
      child.kill();
      throw error;
    });
    log.info(`worker ${initialized.version} started, process ${child.pid}, agents on ${initialized.backend}`);
    return { child, connection, initialized, ended };
  }

  private write(entry: LogEntry): void {
    const { log } = this.options;
    const write: Readonly<Record<LogLevel, (message: string) => void>> = {
      trace: log.trace,
      debug: log.debug,
      info: log.info,
      warning: log.warn,
      error: log.error,
    };
    write[entry.level].call(log, entry.message);
  }
}

function workerLogLevel(level: vscode.LogLevel): LogLevel {
  switch (level) {
    case vscode.LogLevel.Trace:
      return 'trace';
    case vscode.LogLevel.Debug:
      return 'debug';
    case vscode.LogLevel.Warning:
      return 'warning';
    case vscode.LogLevel.Error:
    case vscode.LogLevel.Off:
      return 'error';
    default:
      return 'info';
  }
}
