/** Names that a config may use. A new data set, method, architecture or criterion is one name here. */

export const DATA_NAMES = ['digits', 'mnist', 'fashion-mnist', 'cifar10'] as const;
/** Methods that `method` may name. A new method is one name here and one file in engine/methods. */
export const METHOD_NAMES = [
  'two-stage-ppo',
  'episodic-ppo',
  'amc',
  'purl',
  'n2n',
  'rlp',
  'cacp',
  'conditional-ppo',
  'crl',
  'lottery-mdp',
  'uniform',
  'random-ratios',
  'l1',
  'l2',
  'bn-scale',
  'fpgm',
  'taylor',
  'lottery-ticket',
  'deep-compression',
  'random-search',
  'evolutionary',
  'greedy',
] as const;
/** Ways to score answers that `data.metric` may name. */
export const METRIC_NAMES = ['top-1', 'exact-match', 'f1', 'map', 'mse', 'mae', 'detections'] as const;
export const ARCHITECTURE_NAMES = ['lenet5', 'lenet-300-100', 'lstm-rows'] as const;
/** Ways to choose the channels that are removed. */
export const SELECTION_NAMES = ['lasso', 'backward-elimination', 'l1', 'l2', 'bn-scale', 'fpgm', 'taylor'] as const;

export type DataName = (typeof DATA_NAMES)[number];
export type SelectionName = (typeof SELECTION_NAMES)[number];
export type MethodName = (typeof METHOD_NAMES)[number];
