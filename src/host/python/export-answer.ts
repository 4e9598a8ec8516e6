/** What media/python/export_model.py answers, on the last line of its output. */

export type ExportAnswer =
  | { readonly path: string; readonly packages: Readonly<Record<string, string>> }
  | { readonly error: string; readonly hint?: string; readonly missing: readonly string[] };

/** The answer and what was printed before it; undefined where the last line is none. */
export function readAnswer(output: string): { readonly answer: ExportAnswer; readonly printed: string } | undefined {
  const lines = output.trimEnd().split(/\r?\n/);
  const last = lines.pop() ?? '';
  let value: unknown;
  try {
    value = JSON.parse(last);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const fields = value as Readonly<Record<string, unknown>>;
  const printed = lines.join('\n').trimEnd();
  if (typeof fields['path'] === 'string')
    return { answer: { path: fields['path'], packages: (fields['packages'] ?? {}) as Record<string, string> }, printed };
  if (typeof fields['error'] !== 'string') return undefined;
  const missing = Array.isArray(fields['missing']) ? fields['missing'].map(String) : [];
  return { answer: { error: fields['error'], missing, ...(typeof fields['hint'] === 'string' ? { hint: fields['hint'] } : {}) }, printed };
}

/** Reads '1, 3, 32, 32' or '[1, 3, 32, 32]'; undefined where it is no shape. */
export function readShape(text: string): number[] | undefined {
  const parts = text
    .replace(/[[\]()]/g, '')
    .split(/[,x×\s]+/)
    .filter((part) => part !== '');
  const axes = parts.map(Number);
  return axes.length > 0 && axes.every((axis) => Number.isInteger(axis) && axis >= 1 && axis <= 1e6) ? axes : undefined;
}
