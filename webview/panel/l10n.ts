/** Words in the person's language. The host puts the translations, by English text, into the page (panel-page.ts). */

function readTable(): ReadonlyMap<string, string> {
  const text = typeof document === 'undefined' ? undefined : document.getElementById('translations')?.textContent;
  const table: unknown = text ? JSON.parse(text) : {};
  return new Map(Object.entries(table ?? {}).filter((entry): entry is [string, string] => typeof entry[1] === 'string'));
}

const table = readTable();

/** `message` translated, with {0}, {1}… replaced by `values`. */
export function t(message: string, ...values: ReadonlyArray<string | number>): string {
  return (table.get(message) ?? message).replace(/\{(\d+)\}/g, (whole, index) => String(values[Number(index)] ?? whole));
}
