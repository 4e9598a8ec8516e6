/** All operators Espalier knows: one line a family. */
import { activations } from './activations';
import { batchNormalization } from './batch-normalization';
import { conv } from './conv';
import { gemm } from './gemm';
import { matmul } from './matmul';
import type { Operator } from './operator';
import { pooling } from './pooling';

const families: readonly Operator[] = [...activations, batchNormalization, conv, gemm, matmul, ...pooling];

const byName = new Map<string, Operator>();
for (const op of families) for (const t of op.opTypes) byName.set(`${op.domain ?? ''}:${t}`, op);

export const findOperator = (opType: string, domain = ''): Operator | undefined => byName.get(`${domain}:${opType}`);
export const knownOperators = (): ReadonlyMap<string, Operator> => byName;
