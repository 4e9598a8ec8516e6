/** A run that has its folder and waits for another one to end: its journal is empty until it begins, and its config says what it is. */
import { version } from '../../../package.json';
import type { Config } from '../../protocol/config';
import { JOURNAL_FORMAT, type RunHeader } from '../../protocol/run-events';
import { thisMachine } from './recorder';
import type { RunFolder } from './run-folder';

/** What the journal of a run will begin with, as far as its config says it: model hash and agent backend are looked at when it begins. */
export function headerOfQueued(folder: RunFolder, startedAt: Date): RunHeader | undefined {
  const input = folder.readJson<{ config?: Config; configPath?: string }>(folder.config);
  if (!input?.config?.model) return undefined;
  const { config, configPath } = input;
  return {
    type: 'header',
    format: JOURNAL_FORMAT,
    id: folder.id,
    config: config as unknown as Record<string, unknown>,
    configPath,
    model: { path: config.model, sha256: '' },
    seed: config.seed,
    versions: { espalier: version, node: process.versions.node },
    backend: '',
    machine: thisMachine(),
    startedAt: startedAt.toISOString(),
  };
}
