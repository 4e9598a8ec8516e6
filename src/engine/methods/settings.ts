/** The settings that belong to a method, put into the config a run works with. */
import { type Config, configSchema } from '../../protocol/config';
import { UserError } from '../errors';
import type { Method } from './method';
import type { MethodOptions } from './options';
import { findMethod } from './registry';

/**
 * The config with its method's own settings (AMC prunes by magnitude, for example) where it has the general default.
 * What the config says otherwise stays, and `"pruner": "config"` in the method's options keeps the config's pruner in any case, for comparing
 * agents alone. Applying it twice changes nothing.
 * @throws UserError where there is no such method, or it has no option of a name that is given
 */
export function withMethodSettings(config: Config): Config {
  const method = findMethod(config.method.name);
  refuseUnknown(method, config.method.options);
  refuseRollouts(method, config);
  const own = method.settings?.(config) ?? {};
  const general = configSchema.parse({ model: config.model });
  const pruner = config.method.options['pruner'] === 'config' ? {} : own;
  const unless = <T>(value: T, initial: T, ours: T | undefined): T => (value === initial && ours !== undefined ? ours : value);
  return {
    ...config,
    goal: {
      ...config.goal,
      ...(own.flops !== undefined && config.goal.flops === undefined && { flops: own.flops }),
      ...(own.maxAccuracyDrop !== undefined && config.goal.maxAccuracyDrop === undefined && { maxAccuracyDrop: own.maxAccuracyDrop }),
    },
    reward: { ...config.reward, prune: unless(config.reward.prune, general.reward.prune, own.reward) },
    pruning: {
      ...config.pruning,
      selection: method.selection ?? unless(config.pruning.selection, general.pruning.selection, pruner.selection),
      refit: unless(config.pruning.refit, general.pruning.refit, pruner.refit),
    },
  };
}

/** Other spaces have candidates that are not cut channel by channel. */
function refuseRollouts({ name, space = 'widths' }: Method, { pruning: { variational } }: Config): void {
  if (space === 'widths' || !variational.enabled || variational.rolloutSteps === 0) return;
  throw new UserError(
    `pruning.variational.rolloutSteps: ${name} does not choose widths, and its candidates are not masked`,
    'Leave rolloutSteps out: the network that is chosen in the end is masked all the same.',
  );
}

/** What nobody reads was meant to do something: a slip of the pen, or another method's option. */
function refuseUnknown({ name, options }: Method, given: MethodOptions): void {
  const unknown = Object.keys(given).find((option) => !options.includes(option));
  if (unknown === undefined) return;
  throw new UserError(
    `method.options.${unknown}: ${name} has no such option`,
    options.length > 0 ? `It has ${options.join(', ')}.` : 'It has none.',
  );
}
