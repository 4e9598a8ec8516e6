/** Which config belongs to a model that several name: the one that overrides are written to where no run says it. */
import { basename } from 'node:path';

/** The one named after the model, as a new config is, else the first. @param modelName the model's name without ending */
export function preferredConfig(files: readonly string[], modelName: string): string | undefined {
  return files.find((file) => basename(file) === `${modelName}.espalier.json`) ?? files[0];
}
