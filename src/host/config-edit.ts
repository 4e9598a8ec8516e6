/** Changes to the text of a config that leave everything else as it is, comments and line ends included. */
import { applyEdits, modify } from 'jsonc-parser';

/** The text with one field set, or taken away by undefined. */
export function withField(text: string, path: readonly string[], value: unknown): string {
  const formattingOptions = { insertSpaces: true, tabSize: 2, eol: text.includes('\r\n') ? '\r\n' : '\n' };
  return applyEdits(text, modify(text, [...path], value, { formattingOptions }));
}
