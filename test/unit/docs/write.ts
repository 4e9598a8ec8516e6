/**
 * Writes the generated parts of docs/. Run from the repository's root after a change of the config, the reward language or the methods:
 * `npx esbuild test/unit/docs/write.ts --bundle --platform=node --external:@tensorflow/tfjs-node | node`
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { generatedParts, placeOf } from './generated';

for (const { file, part, text } of generatedParts) {
  const path = `docs/${file}`;
  const page = readFileSync(path, 'utf8');
  const { start, end } = placeOf(page, part);
  writeFileSync(path, page.slice(0, start) + text() + page.slice(end));
}
