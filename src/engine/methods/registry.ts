/** All methods by name: one line each. */
import { UserError } from '../errors';
import { amc } from './amc';
import { randomRatios, randomSearch, uniform } from './baselines';
import { cacp } from './cacp';
import { conditionalPpo } from './conditional-ppo';
import { criterionMethods } from './criteria';
import { crl } from './crl';
import { deepCompression } from './deep-compression';
import { evolutionary } from './evolutionary';
import { greedy } from './greedy';
import { lotteryMdp } from './lottery-mdp';
import { lotteryTicket } from './lottery-ticket';
import type { Method } from './method';
import { n2n } from './n2n';
import { purl } from './purl';
import { rlp } from './rlp';
import { episodicPpo, twoStagePpo } from './two-stage-ppo';

export const methods: readonly Method[] = [
  twoStagePpo,
  episodicPpo,
  amc,
  purl,
  n2n,
  rlp,
  cacp,
  conditionalPpo,
  crl,
  lotteryMdp,
  uniform,
  randomRatios,
  ...criterionMethods,
  lotteryTicket,
  deepCompression,
  randomSearch,
  evolutionary,
  greedy,
];

/** Who decides in a stage: the method, or in stage 2 the one it leaves the bits to. */
export function methodOfStage(name: string, stage: 'prune' | 'quantize'): Method {
  const method = findMethod(name);
  return stage === 'quantize' && method.bitsBy !== undefined ? findMethod(method.bitsBy) : method;
}

/** @throws UserError listing the names where there is none such */
export function findMethod(name: string): Method {
  const found = methods.find((m) => m.name === name);
  if (!found) throw new UserError(`there is no method '${name}'`, `Known: ${methods.map((m) => m.name).join(', ')}.`);
  return found;
}
