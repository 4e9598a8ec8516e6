/** The worker's requests by name, as types alone: naming one loads nothing. */
import type { RequestType } from 'vscode-jsonrpc';
import type { Sensitivity } from '../protocol/layer-graph';
import type { RunSnapshot } from '../protocol/run-summary';
import type * as messages from '../protocol/worker-messages';

type Shape<Message> = Message extends RequestType<infer Params, infer Result, infer _Error> ? { params: Params; result: Result } : never;

export interface WorkerRequests {
  initialize: Shape<typeof messages.initialize>;
  inspectModel: Shape<typeof messages.inspectModel>;
  startRun: Shape<typeof messages.startRun>;
  pauseRun: Shape<typeof messages.pauseRun>;
  stopRun: Shape<typeof messages.stopRun>;
  resumeRun: Shape<typeof messages.resumeRun>;
  listMethods: Shape<typeof messages.listMethods>;
  listRuns: Shape<typeof messages.listRuns>;
  readRun: Shape<typeof messages.readRun>;
  sensitivity: Shape<typeof messages.sensitivity>;
  trainModel: Shape<typeof messages.trainModel>;
  sensitivityReport: Shape<typeof messages.sensitivityReport>;
  exportCandidate: Shape<typeof messages.exportCandidate>;
  importDefinition: Shape<typeof messages.importDefinition>;
  rescoreRun: Shape<typeof messages.rescoreRun>;
}

export type WorkerRequestName = keyof WorkerRequests;

export interface WorkerNotifications {
  runChanged(snapshot: RunSnapshot): void;
  sensitivityChanged(sensitivity: Sensitivity): void;
  progress(report: messages.ProgressReport): void;
  log(entry: messages.LogEntry): void;
}
