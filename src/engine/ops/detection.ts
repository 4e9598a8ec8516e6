/** NonMaxSuppression: boxes chosen by score. How many stay is known only when the model runs. */
import { keepsChannels } from './channel-axes';
import type { Operator, ValueType } from './operator';

export const detections: readonly Operator[] = [
  {
    opTypes: ['NonMaxSuppression'],
    infer: (): ValueType[] => [{ type: 'int64', shape: ['', 3] }],
    noGradient: 'chooses boxes, which changes in steps',
    ...keepsChannels('compares boxes and scores'),
  },
];
