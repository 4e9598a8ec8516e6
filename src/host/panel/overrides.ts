/** A layer's override in the text of a config: read and written without touching anything else, comments included. */
import { parse } from 'jsonc-parser';
import { withField } from '../config-edit';

export interface Override {
  readonly skip?: boolean;
  readonly ratio?: number;
  readonly bits?: number;
}

const FIELDS = ['skip', 'ratio', 'bits'] as const;

/** Fields of an entry that a fixed value leaves no room for (`layerOverrideSchema` refuses both). */
const REPLACED: Readonly<Record<(typeof FIELDS)[number], readonly string[]>> = {
  skip: [],
  ratio: ['minRatio', 'maxRatio'],
  bits: ['minBits', 'maxBits'],
};

/**
 * The config's text with the fixed values of one layer or group set, field by field; those that are not given, or all by null, are taken away.
 * Ranges stay, but for those that a fixed value takes the place of.
 */
export function withOverride(text: string, name: string, override: Override | null): string {
  const layers = asObject((parse(text) as { layers?: unknown } | undefined)?.layers) ?? {};
  const entry = asObject(layers[name]);
  if (!entry) {
    if (override !== null) return withField(text, ['layers', name], override);
    if (layers[name] === undefined) return text;
  }
  const next: Record<string, unknown> = { ...entry };
  for (const field of FIELDS) {
    const value = override?.[field];
    // That a layer is not skipped may be said against a pattern: it is no value of the panel's to take away.
    if (value === undefined && next[field] !== false) delete next[field];
    if (value === undefined) continue;
    next[field] = value;
    for (const other of REPLACED[field]) delete next[other];
  }
  if (Object.keys(next).length === 0)
    // An empty `layers` says nothing: it goes with its last entry.
    return Object.keys(layers).length === 1 ? withField(text, ['layers'], undefined) : withField(text, ['layers', name], undefined);
  const set = Object.entries(next).filter(([field, value]) => value !== entry?.[field]);
  const gone = Object.keys(entry ?? {}).filter((field) => !(field in next));
  const changed = set.reduce((from, [field, value]) => withField(from, ['layers', name, field], value), text);
  return gone.reduce((from, field) => withField(from, ['layers', name, field], undefined), changed);
}

/** Fixed values of `layers`, by their names or patterns; ranges stay the config's affair. */
export function readOverrides(text: string): Record<string, Override> {
  const layers = asObject((parse(text) as { layers?: unknown } | undefined)?.layers) ?? {};
  const overrides: Record<string, Override> = {};
  for (const [name, value] of Object.entries(layers)) {
    const entry = asObject(value);
    if (!entry) continue;
    const { skip, ratio, bits } = entry;
    overrides[name] = {
      ...(typeof skip === 'boolean' ? { skip } : {}),
      ...(typeof ratio === 'number' ? { ratio } : {}),
      ...(typeof bits === 'number' ? { bits } : {}),
    };
  }
  return overrides;
}

function asObject(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
}
