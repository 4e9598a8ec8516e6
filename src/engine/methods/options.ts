/** Options of a method (`method.options` in the config), read by name. */
import { UserError } from '../errors';

export type MethodOptions = Readonly<Record<string, number | boolean | string>>;

/**
 * The options that have a default of the same name, in its type.
 * @throws UserError where an option has another type than its default
 */
export function ownOptions<T extends Readonly<Record<string, number | boolean | string>>>(options: MethodOptions, defaults: T): T {
  const own: Record<string, number | boolean | string> = { ...defaults };
  for (const [name, initial] of Object.entries(defaults)) {
    const given = options[name];
    if (given === undefined) continue;
    if (typeof given !== typeof initial)
      throw new UserError(
        `method.options.${name} is ${JSON.stringify(given)}, which is not a ${typeof initial}`,
        `Its default is ${JSON.stringify(initial)}.`,
      );
    own[name] = given;
  }
  return own as T;
}
