/** Loads dist/config-language.js, which lies beside this bundle. The bundler must not follow: a CommonJS bundle cannot be split by itself. */
import { join } from 'node:path';

export type ConfigLanguage = typeof import('./config-language');

/** Loaded once; the module system keeps it. */
export function configLanguage(): ConfigLanguage {
  return require(join(__dirname, 'config-language.js')) as ConfigLanguage;
}
