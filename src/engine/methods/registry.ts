/** All methods by name: one line each. */
import { UserError } from '../errors';
import { randomSearch, uniform } from './baselines';
import type { Method } from './method';
import { episodicPpo, twoStagePpo } from './two-stage-ppo';

export const methods: readonly Method[] = [twoStagePpo, episodicPpo, uniform, randomSearch];

/** @throws UserError listing the names where there is none such */
export function findMethod(name: string): Method {
  const found = methods.find((m) => m.name === name);
  if (!found) throw new UserError(`there is no method '${name}'`, `Known: ${methods.map((m) => m.name).join(', ')}.`);
  return found;
}
