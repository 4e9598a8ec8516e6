/** Writes l10n/bundle.l10n.json. Run from the root: npx esbuild test/unit/l10n/write.ts --bundle --platform=node | node */
import { mkdirSync, writeFileSync } from 'node:fs';
import { allTexts, bundleText } from './strings';

mkdirSync('l10n', { recursive: true });
writeFileSync('l10n/bundle.l10n.json', bundleText(allTexts()));
