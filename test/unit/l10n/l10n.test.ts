import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import manifest from '../../../package.json';
import { allTexts, bundleText, textsIn } from './strings';

const texts = allTexts();

it('finds the texts of a source, and what is none', () => {
  const source = [
    "a(t('one'));",
    `b(vscode.l10n.t("it's {0}", split('no')));`,
    't(`x`);',
    "list.at('no'); function t(message) {}",
    't(',
    "  'two\\n',",
    '  3)',
  ].join('\n');
  expect(textsIn(source, 'f.ts')).toEqual([
    { text: 'one', place: 'f.ts:1' },
    { text: "it's {0}", place: 'f.ts:2' },
    { text: undefined, place: 'f.ts:3' },
    { text: 'two\n', place: 'f.ts:5' },
  ]);
});

it('every text is a literal, so that a translator can be shown it', () =>
  expect(texts.flatMap(({ text, place }) => (text === undefined ? [place] : []))).toEqual([]));

it('every text of host and panel has its key in the bundle, and no key is left over', () => {
  expect(texts.length).toBeGreaterThan(400);
  expect(readFileSync('l10n/bundle.l10n.json', 'utf8')).toBe(bundleText(texts));
});

it('placeholders are numbered from 0 without a gap', () => {
  const odd = texts.filter(({ text = '' }) => {
    const numbers = new Set([...text.matchAll(/\{(\d+)\}/g)].map(([, n]) => Number(n)));
    return [...numbers].some((n) => n >= numbers.size);
  });
  expect(odd).toEqual([]);
});

it('the manifest names the folder of the bundles', () => expect(manifest.l10n).toBe('./l10n'));
