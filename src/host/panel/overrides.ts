/** A layer's override in the text of a config: read and written without touching anything else, comments included. */
import { applyEdits, modify, parse } from 'jsonc-parser';

export interface Override {
  readonly skip?: boolean;
  readonly ratio?: number;
  readonly bits?: number;
}

/** The config's text with the override of one layer or group set, or taken away by null. */
export function withOverride(text: string, name: string, override: Override | null): string {
  const formattingOptions = { insertSpaces: true, tabSize: 2, eol: text.includes('\r\n') ? '\r\n' : '\n' };
  const edit = (from: string, path: string[], value: unknown): string => applyEdits(from, modify(from, path, value, { formattingOptions }));
  if (override !== null) return edit(text, ['layers', name], override);
  const { layers } = (parse(text) ?? {}) as { layers?: Record<string, unknown> };
  if (layers?.[name] === undefined) return text;
  // An empty `layers` says nothing: it goes with its last entry.
  return Object.keys(layers).length === 1 ? edit(text, ['layers'], undefined) : edit(text, ['layers', name], undefined);
}

/** Fixed values of `layers`, by their names or patterns; ranges stay the config's affair. */
export function readOverrides(text: string): Record<string, Override> {
  const root = parse(text) as { layers?: unknown } | undefined;
  const layers = typeof root?.layers === 'object' && root.layers !== null ? (root.layers as Record<string, unknown>) : {};
  const overrides: Record<string, Override> = {};
  for (const [name, value] of Object.entries(layers)) {
    if (typeof value !== 'object' || value === null) continue;
    const { skip, ratio, bits } = value as Record<string, unknown>;
    overrides[name] = {
      ...(typeof skip === 'boolean' ? { skip } : {}),
      ...(typeof ratio === 'number' ? { ratio } : {}),
      ...(typeof bits === 'number' ? { bits } : {}),
    };
  }
  return overrides;
}
