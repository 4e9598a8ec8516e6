/** The networks of `espalier train`, by name. */
import { UserError } from '../errors';
import type { Architecture } from './architecture';
import { lenet300100 } from './lenet-300-100';
import { lenet5 } from './lenet5';
import { lstmRows } from './lstm-rows';

export const architectures: readonly Architecture[] = [lenet5, lenet300100, lstmRows];

/** @throws UserError listing the names where there is none such */
export function findArchitecture(name: string): Architecture {
  const found = architectures.find((a) => a.name === name);
  if (!found) throw new UserError(`there is no architecture '${name}'`, `Known: ${architectures.map((a) => a.name).join(', ')}.`);
  return found;
}
