/** Where things are in a text: offsets to lines, and characters inside a JSON string to the characters they were written with. */

/** Line and column of an offset, both from 1, as people and compilers count. */
export function positionAt(text: string, offset: number): { line: number; column: number } {
  let line = 1;
  let lineStart = 0;
  for (let i = 0; i < offset; i++) {
    const c = text.charCodeAt(i);
    // \r\n is one line end; a lone \r is one too.
    if (c === 10 || (c === 13 && text.charCodeAt(i + 1) !== 10)) {
      line++;
      lineStart = i + 1;
    }
  }
  return { line, column: offset - lineStart + 1 };
}

/**
 * Offsets in `text` of each UTF-16 unit of a JSON string's value, and last of its closing quote.
 * `"a\nb"` at 10 gives [11, 12, 14, 15]: the escape takes two characters.
 * @param offset of the opening quote
 */
export function stringOffsets(text: string, offset: number, length: number): number[] {
  const offsets: number[] = [];
  const end = offset + length - 1;
  let at = offset + 1;
  while (at < end) {
    offsets.push(at);
    if (text[at] === '\\') at += text[at + 1] === 'u' ? 6 : 2;
    else at++;
  }
  offsets.push(end);
  return offsets;
}
