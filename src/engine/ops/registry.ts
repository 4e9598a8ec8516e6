/** All operators Espalier knows: one line a family. */
import { activations } from './activations';
import { arithmetic } from './arithmetic';
import { batchNormalization } from './batch-normalization';
import { casts } from './cast';
import { joins } from './concat';
import { constants } from './constants';
import { conv } from './conv';
import { expansions } from './expand';
import { gathers } from './gather';
import { gemm } from './gemm';
import { gru } from './gru';
import { lstm } from './lstm';
import { matmul } from './matmul';
import type { Operator } from './operator';
import { pads } from './pad';
import { pooling } from './pooling';
import { reductions } from './reduce';
import { resamplers } from './resample';
import { reshapes } from './reshape';
import { rnn } from './rnn';
import { slices } from './slice';
import { softmaxes } from './softmax';
import { transposes } from './transpose';

const families: readonly Operator[] = [
  ...activations,
  batchNormalization,
  conv,
  gemm,
  matmul,
  ...pooling,
  ...arithmetic,
  ...casts,
  ...joins,
  ...constants,
  ...expansions,
  ...gathers,
  ...pads,
  ...reductions,
  ...resamplers,
  ...reshapes,
  ...slices,
  ...softmaxes,
  ...transposes,
  lstm,
  gru,
  rnn,
];

const byName = new Map<string, Operator>();
for (const op of families) for (const t of op.opTypes) byName.set(`${op.domain ?? ''}:${t}`, op);

export const findOperator = (opType: string, domain = ''): Operator | undefined => byName.get(`${domain}:${opType}`);
export const knownOperators = (): ReadonlyMap<string, Operator> => byName;
