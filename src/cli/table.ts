/** Plain tables for a terminal. */

/** Columns padded to the same width, two spaces apart; columns named in `right` are flush right. */
export function tableText(rows: ReadonlyArray<readonly string[]>, right: readonly number[] = []): string {
  const columns = Math.max(0, ...rows.map((r) => r.length));
  const widths = Array.from({ length: columns }, (_, i) => Math.max(0, ...rows.map((r) => r[i]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, i) => (right.includes(i) ? cell.padStart(widths[i]) : cell.padEnd(widths[i])))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}
