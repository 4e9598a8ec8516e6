/** All operators Espalier knows: one line a family. */
import { activations } from './activations';
import type { Operator } from './operator';

const families: readonly Operator[] = [...activations];

const byName = new Map<string, Operator>();
for (const op of families) for (const t of op.opTypes) byName.set(`${op.domain ?? ''}:${t}`, op);

export const findOperator = (opType: string, domain = ''): Operator | undefined => byName.get(`${domain}:${opType}`);
export const knownOperators = (): ReadonlyMap<string, Operator> => byName;
