/**
 * The second bundle of the host, dist/config-language.js: all that needs the config's schema. It is loaded with the first config or panel,
 * so that activation stays light (load-config-language.ts).
 */
export { parse as parseJson } from 'jsonc-parser';
export { parseConfigText } from '../protocol/config-file';
export { panelToHostSchema, readMessage } from '../protocol/panel-messages';
export { completedConfig, isBareConfig } from './compress/bare-config';
export { readOverrides, withOverride } from './panel/overrides';
export { formulaCompletions, formulaHover } from './reward/formula-place';
export { rescoringText, winnerText } from './reward/rescore-text';
export { EXAMPLE_CONTEXT, previewSvg, rewardGrid } from './reward/reward-preview';
