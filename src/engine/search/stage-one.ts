/** Stage 1 in the form that the method decides in. */
import { findMethod } from '../methods/registry';
import { filterStage } from './filter-stage';
import { type PruneStageResult, pruneStage } from './prune-stage';
import type { RunContext } from './run-context';
import { weightMaskStage } from './weight-mask-stage';

export function stageOne(context: RunContext): Promise<PruneStageResult> {
  switch (findMethod(context.config.method.name).space) {
    case 'weights':
      return weightMaskStage(context);
    case 'filters':
      return filterStage(context);
    default:
      return pruneStage(context);
  }
}
