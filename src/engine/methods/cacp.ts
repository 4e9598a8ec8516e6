/** CACP: AMC's agent with the target in its state; one search serves several targets. */
import type { Config } from '../../protocol/config';
import { UserError } from '../errors';
import { AMC_OPTIONS, AMC_PRUNER, createDdpg } from './amc';
import type { Method } from './method';

const DEFAULT_TARGETS = '0.3,0.5,0.7';

/** Targets as shares of the original's FLOPs, ascending; `goal.flops` is one of them. @throws UserError where one is no share */
export function cacpTargets({ method, goal }: Config): number[] {
  const given = method.options['targets'] ?? DEFAULT_TARGETS;
  const named = String(given)
    .split(',')
    .map((part) => Number(part.trim()));
  for (const share of named) {
    if (!(share > 0 && share <= 1))
      throw new UserError(
        `method.options.targets '${given}' must be shares of the FLOPs above 0 and up to 1, separated by commas`,
        `Write "targets": "${DEFAULT_TARGETS}".`,
      );
  }
  return [...new Set(goal.flops === undefined ? named : [...named, goal.flops])].sort((a, b) => a - b);
}

export const cacp: Method = {
  name: 'cacp',
  title: 'CACP',
  description: 'AMC’s agent with the target ratio in its state: one search finds a model for each of several targets.',
  source: 'Liu et al. 2021, Conditional Automated Channel Pruning for Deep Neural Networks',
  credit: 'episode-chain',
  observation: 'amc',
  settings: (config) => ({ ...AMC_PRUNER, reward: 'accuracy', flops: middleTarget(cacpTargets(config)) }),
  targets: cacpTargets,
  options: [...AMC_OPTIONS, 'targets'],
  createAgent: createDdpg,
};

/** What a config asks for that names no FLOPs. */
export const middleTarget = (values: readonly number[]): number => values[Math.floor((values.length - 1) / 2)];
