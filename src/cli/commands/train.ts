/** `espalier train <config>`: a baseline network from nothing. */
import { UserError } from '../../engine/errors';
import { type ConfigOptions, configFrom, isConfigPath } from '../config-input';
import { shownTraining } from '../training-run';

export async function train(path: string, options: ConfigOptions & { json?: boolean }): Promise<void> {
  if (!isConfigPath(path)) throw new UserError(`${path} is not a config file`, 'Name a *.espalier.json with "train".');
  const { config, folder, dataFolder } = await configFrom(path, options, async () => ({ name: 'digits' }));
  await shownTraining(config, { folder, dataFolder, json: options.json === true });
}
