/** Stage 1 in the form that the method decides in. */
import { findMethod } from '../methods/registry';
import { deepCompressionStage } from './deep-compression-stage';
import { filterStage } from './filter-stage';
import { lotteryMdpStage } from './lottery-mdp-stage';
import { lotteryTicketStage } from './lottery-ticket-stage';
import { type PruneStageResult, pruneStage } from './prune-stage';
import type { RunContext } from './run-context';
import { studentStage } from './student-stage';
import { weightMaskStage } from './weight-mask-stage';

export function stageOne(context: RunContext): Promise<PruneStageResult> {
  switch (findMethod(context.config.method.name).space) {
    case 'weights':
      return weightMaskStage(context);
    case 'rows':
      return lotteryMdpStage(context);
    case 'tickets':
      return lotteryTicketStage(context);
    case 'codes':
      return deepCompressionStage(context);
    case 'filters':
      return filterStage(context);
    case 'student':
      return studentStage(context);
    default:
      return pruneStage(context);
  }
}
