/** RLP: an agent for each layer reads its filters and keeps or removes each one; REINFORCE on how far accuracy stays within its bound. */
import type { Config } from '../../protocol/config';
import { FILTER_POLICY_DEFAULTS, FilterPolicyAgent } from '../agents/filter-policy';
import { UserError } from '../errors';
import type { FilterSettings, Method } from './method';
import { ownOptions } from './options';

/** Ours: the paper trains "for some epochs" after each layer. */
const FILTERS = { variant: 'entire', layerEpochs: 1, layerRate: 0.01 };

/** One of the paper's bounds, in points of accuracy: 0.5, 1, 2, 3. */
const DROP_BOUND = 0.01;

/** @throws UserError where the variant is neither of the two */
function filters({ method }: Config): FilterSettings {
  const { variant, layerEpochs, layerRate } = ownOptions(method.options, FILTERS);
  if (variant !== 'entire' && variant !== 'individual')
    throw new UserError(`method.options.variant '${variant}' is neither 'entire' nor 'individual'`, 'Its default is "entire".');
  return { variant, epochs: layerEpochs, learningRate: layerRate };
}

export const rlp: Method = {
  name: 'rlp',
  title: 'RLP',
  description: 'One agent for each layer keeps or removes every filter by itself, rewarded while accuracy stays within a bound.',
  source: 'Yang, Xu: From Rule-based to Learning-based Network Pruning',
  credit: 'episode',
  space: 'filters',
  bitsBy: 'uniform',
  settings: () => ({ reward: 'rlp', maxAccuracyDrop: DROP_BOUND }),
  filters,
  options: Object.keys({ ...FILTERS, ...FILTER_POLICY_DEFAULTS }),
  createAgent: ({ observationSize, random, options }) =>
    new FilterPolicyAgent(observationSize, random, ownOptions(options, { ...FILTER_POLICY_DEFAULTS })),
};
