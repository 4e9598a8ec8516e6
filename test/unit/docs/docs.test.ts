/** The documentation says what the code does: generated parts are current, examples are valid, links and names lead somewhere. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { scripts } from '../../../package.json';
import { methods } from '../../../src/engine/methods/registry';
import { METHOD_NAMES } from '../../../src/protocol/config';
import { parseConfigText } from '../../../src/protocol/config-file';
import { generatedParts, placeOf } from './generated';

const root = resolve(__dirname, '../../..');
const read = (path: string): string => readFileSync(join(root, path), 'utf8').replaceAll('\r\n', '\n');
const markdown = (folder: string): string[] =>
  readdirSync(join(root, folder))
    .filter((f) => f.endsWith('.md'))
    .map((f) => (folder === '.' ? f : `${folder}/${f}`));
const pages = [...markdown('.'), ...markdown('docs'), ...(existsSync(join(root, 'docs/methods')) ? markdown('docs/methods') : [])];
/** Methods may have pages of their own. */
const methodPages = ['docs/methods.md', ...(existsSync(join(root, 'docs/methods')) ? markdown('docs/methods') : [])];
const examples = readdirSync(join(root, 'docs/examples')).map((f) => `docs/examples/${f}`);

test.each(generatedParts)('docs/$file: part $part says what the code says', ({ file, part, text }) => {
  const page = read(`docs/${file}`);
  const { start, end } = placeOf(page, part);
  // Where this fails after a change of the code, test/unit/docs/write.ts writes the part anew.
  expect(page.slice(start, end)).toBe(text());
});

test('there are pages and examples to look at', () => {
  expect(pages).toEqual(expect.arrayContaining(['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'docs/methods.md', 'docs/config.md']));
  expect(examples.length).toBeGreaterThan(1);
});

test.each(examples)('%s is a valid config', (path) => {
  const { config, problems } = parseConfigText(read(path));
  expect(problems).toEqual([]);
  expect(config?.model).toMatch(/\.onnx$/);
});

test('docs/methods has a section for every method that a config may name', () => {
  expect(methods.map((m) => m.name).sort()).toEqual([...METHOD_NAMES].sort());
  const page = methodPages.map(read).join('\n');
  for (const name of METHOD_NAMES) expect(page).toMatch(new RegExp(`^#{1,3} .*\`${name}\``, 'm'));
});

test.each(METHOD_NAMES)(
  'method %s has a page that names it and what it is of, when to use it and its example; the example is of that method',
  (name) => {
    const page = read(`docs/methods/${name}.md`);
    expect(page).toMatch(new RegExp(`^# .*\\(\`${name}\`\\)`));
    for (const part of ['**Source.**', '**When to use it.**', `[examples/${name}.espalier.json](../examples/${name}.espalier.json)`])
      expect(page).toContain(part);
    expect(parseConfigText(read(`docs/examples/${name}.espalier.json`)).config?.method.name).toBe(name);
    // What is said of options stands on the page or on one that it refers to.
    const others = [...page.matchAll(/\]\(([\w.-]+\.md)\)/g)].map(([, file]) => read(`docs/methods/${file}`));
    const text = [page, read('docs/methods.md'), ...others].join('\n');
    for (const option of methods.find((m) => m.name === name)!.options) expect(text, `${name}: ${option}`).toContain(`\`${option}\``);
  },
);

describe.each(pages)('%s', (path) => {
  const text = read(path);
  /** Text outside code blocks. */
  const prose = text.replaceAll(/^```[\s\S]*?^```/gm, '');

  test('links lead to files, and their anchors to headings', () => {
    for (const [, target] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [file, anchor] = target.split('#');
      const to = file === '' ? join(root, path) : resolve(root, dirname(path), file);
      expect(existsSync(to), `${path} links to ${target}`).toBe(true);
      if (anchor !== undefined) expect(anchorsOf(readFileSync(to, 'utf8')), `${path} links to ${target}`).toContain(anchor);
    }
  });

  test('files and scripts that are named exist', () => {
    for (const [, name] of prose.matchAll(/`((?:src|bench|test|docs|media|webview|\.ci|\.vscode)\/[\w./-]+)`/g))
      expect(existsSync(join(root, name)), `${path} names ${name}`).toBe(true);
    for (const [, name] of text.matchAll(/npm run (?:-s )?([\w:-]+)/g))
      expect(Object.keys(scripts), `${path} names npm run ${name}`).toContain(name);
  });

  test('configs that are shown are valid', () => {
    for (const [, block] of text.matchAll(/^```jsonc?\n([\s\S]*?)^```/gm)) {
      if (!/"model"\s*:/.test(block)) continue;
      expect(parseConfigText(block).problems, block).toEqual([]);
    }
  });
});

/** Anchors as GitHub makes them of headings. */
function anchorsOf(page: string): string[] {
  return [...page.matchAll(/^#+ (.+)$/gm)].map(([, heading]) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  );
}
