/** The texts that the code shows to people, found in the source: first arguments of `t(…)` in the panel and of `l10n.t(…)` in the host. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export interface FoundText {
  /** As the code has it; undefined where the first argument is no plain string literal, which no translator could be shown. */
  readonly text: string | undefined;
  /** 'src/host/problems.ts:12'. */
  readonly place: string;
}

/** A call of `t`, alone or as `l10n.t`, not one of `split`, `.get` and the like. */
const CALL = /(?:(?<![\w$.])t|\bl10n\.t)\(\s*/g;
const LITERAL = /^(?:'((?:[^'\\\n]|\\.)*)'|"((?:[^"\\\n]|\\.)*)")\s*(?=[,)])/;

/** Texts of one source file, in order. */
export function textsIn(source: string, file: string): FoundText[] {
  return [...source.matchAll(CALL)].flatMap((call) => {
    // The function's own declaration is no call.
    if (/function\s+$/.test(source.slice(0, call.index))) return [];
    const place = `${file}:${source.slice(0, call.index).split('\n').length}`;
    const literal = LITERAL.exec(source.slice(call.index + call[0].length));
    const raw = literal?.[1] ?? literal?.[2];
    return [{ text: raw === undefined ? undefined : raw.replace(/\\(u[0-9a-f]{4}|.)/g, unescaped), place }];
  });
}

const unescaped = (_whole: string, code: string): string =>
  code.length > 1 ? String.fromCharCode(Number.parseInt(code.slice(1), 16)) : code === 'n' ? '\n' : code;

/** Source files below a folder, without tests. */
function sourcesIn(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.ts') && !path.endsWith('.test.ts') && !path.endsWith('.d.ts'))
    .map((path) => join(folder, path).replaceAll('\\', '/'))
    .sort();
}

/** Everything that host and panel say. */
export function allTexts(): FoundText[] {
  return [...sourcesIn('src/host'), ...sourcesIn('webview'), 'src/extension.ts'].flatMap((file) =>
    textsIn(readFileSync(file, 'utf8'), file),
  );
}

/** The English bundle, `l10n/bundle.l10n.json`: each text is its own key, as VS Code has it. */
export function bundleText(texts: readonly FoundText[]): string {
  const keys = [...new Set(texts.flatMap(({ text }) => text ?? []))].sort();
  return `${JSON.stringify(Object.fromEntries(keys.map((key) => [key, key])), null, 2)}\n`;
}
