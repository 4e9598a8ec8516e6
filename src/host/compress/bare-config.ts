/**
 * Configs that only say which model they are about, and perhaps what was set for single layers: "Layer sensitivity" and the panel write
 * such ones. They have answered none of the questions of "Compress Model…", whose answers are added to them.
 */
import { parse } from 'jsonc-parser';
import { withField } from '../config-edit';

/** What such a config may have. */
const ABOUT_THE_MODEL: ReadonlySet<string> = new Set(['$schema', 'model', 'definition', 'layers']);

/** @param text of a config, with comments */
export function isBareConfig(text: string): boolean {
  const root: unknown = parse(text);
  return typeof root === 'object' && root !== null && 'model' in root && Object.keys(root).every((key) => ABOUT_THE_MODEL.has(key));
}

/** A bare config with the fields of another that it lacks; its own stay, comments included. */
export function completedConfig(bare: string, answers: string): string {
  const own = parse(bare) as Record<string, unknown>;
  return Object.entries(parse(answers) as Record<string, unknown>)
    .filter(([field]) => !(field in own))
    .reduce((text, [field, value]) => withField(text, [field], value), bare);
}
