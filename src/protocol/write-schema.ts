/**
 * Writes media/espalier.schema.json. Run from the repository's root after a change of config.ts:
 * `npx esbuild src/protocol/write-schema.ts --bundle --platform=node | node`
 */
import { writeFileSync } from 'node:fs';
import { configSchemaText } from './config-schema';

writeFileSync('media/espalier.schema.json', configSchemaText());
