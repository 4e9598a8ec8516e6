/** Numbers that options of a command give. */
import { UserError } from '../engine/errors';

/** @throws UserError naming the option where its text is no whole number above 0 */
export function wholeNumber(text: string | undefined, option: string): number | undefined {
  if (text === undefined) return undefined;
  const n = Number(text);
  if (!Number.isInteger(n) || n < 1) throw new UserError(`${option}: '${text}' is not a whole number above 0`);
  return n;
}
