/** JSON-RPC with the worker over the fork's IPC. Loaded with the first request, not at activation. */
import type { ChildProcess } from 'node:child_process';
import { type CancellationToken, createMessageConnection, IPCMessageReader, IPCMessageWriter } from 'vscode-jsonrpc/node';
import * as messages from '../protocol/worker-messages';
import type { WorkerNotifications, WorkerRequestName, WorkerRequests } from './worker-requests';

const REQUESTS = {
  initialize: messages.initialize,
  inspectModel: messages.inspectModel,
  startRun: messages.startRun,
  pauseRun: messages.pauseRun,
  stopRun: messages.stopRun,
  resumeRun: messages.resumeRun,
  listMethods: messages.listMethods,
  listRuns: messages.listRuns,
  readRun: messages.readRun,
  sensitivity: messages.sensitivity,
  trainModel: messages.trainModel,
  sensitivityReport: messages.sensitivityReport,
  exportCandidate: messages.exportCandidate,
  importDefinition: messages.importDefinition,
  rescoreRun: messages.rescoreRun,
} as const satisfies Record<WorkerRequestName, unknown>;

export interface WorkerConnection {
  request<Name extends WorkerRequestName>(
    name: Name,
    params: WorkerRequests[Name]['params'],
    token?: CancellationToken,
  ): Promise<WorkerRequests[Name]['result']>;
  /** @param dataFolder undefined: the environment variable's */
  dataFolderChanged(dataFolder: string | undefined): void;
  dispose(): void;
}

export function connect(child: ChildProcess, listener: WorkerNotifications): WorkerConnection {
  const connection = createMessageConnection(new IPCMessageReader(child), new IPCMessageWriter(child));
  connection.onNotification(messages.runChanged, (snapshot) => listener.runChanged(snapshot));
  connection.onNotification(messages.sensitivityChanged, (sensitivity) => listener.sensitivityChanged(sensitivity));
  connection.onNotification(messages.progress, (report) => listener.progress(report));
  connection.onNotification(messages.log, (entry) => listener.log(entry));
  // Writing to a process that has just died is reported by its exit, which fails the pending requests.
  connection.onError(() => undefined);
  connection.listen();
  return {
    request: (name, params, token) =>
      token ? connection.sendRequest(REQUESTS[name].method, params, token) : connection.sendRequest(REQUESTS[name].method, params),
    dataFolderChanged: (dataFolder) => {
      connection.sendNotification(messages.dataFolderChanged, dataFolder === undefined ? {} : { dataFolder }).catch(() => undefined);
    },
    dispose: () => connection.dispose(),
  };
}
