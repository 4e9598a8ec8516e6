/** Completion and hover inside a formula: what may stand at a place, and what stands there. */
import type { TextRange } from './expression';
import { REWARD_FUNCTIONS, REWARD_NAMES } from './names';
import { REWARD_PRESETS } from './presets';

export interface FormulaCompletion {
  readonly label: string;
  readonly kind: 'name' | 'function' | 'constant' | 'preset';
  /** Signature, unit, value or formula: one short line. */
  readonly detail: string;
  readonly description: string;
}

export interface FormulaHover {
  readonly range: TextRange;
  readonly title: string;
  readonly description: string;
  /** Of a name: what to look up among a run's values. */
  readonly name?: string;
}

/** The word (of letters, digits and underscores, in presets also hyphens) that holds or touches `index`; empty at `index` where there is none. */
function wordAt(text: string, index: number, characters: RegExp): TextRange {
  let start = index;
  let end = index;
  while (start > 0 && characters.test(text[start - 1])) start--;
  while (end < text.length && characters.test(text[end])) end++;
  return { start, end };
}

const NAME_CHARACTER = /[A-Za-z0-9_]/;
const PRESET_CHARACTER = /[A-Za-z0-9_-]/;

/** True where the whole text could be a preset's name that is being written. */
function mayBePreset(text: string): boolean {
  return /^\s*[A-Za-z0-9-]*\s*$/.test(text);
}

/**
 * What may be written at `index`, and the range it replaces. The editor filters by what is already written there.
 * @param constants the config's own, by name
 */
export function completionsAt(
  text: string,
  index: number,
  constants: Readonly<Record<string, number>> = {},
): { readonly range: TextRange; readonly items: readonly FormulaCompletion[] } {
  const presets = mayBePreset(text);
  const range = wordAt(text, index, presets ? PRESET_CHARACTER : NAME_CHARACTER);
  // Inside a number (1e5, 0.25) nothing is completed.
  if (/[0-9.]/.test(text[range.start] ?? '') && range.start < index) return { range, items: [] };
  const items: FormulaCompletion[] = [];
  if (presets)
    for (const p of REWARD_PRESETS.values()) items.push({ label: p.name, kind: 'preset', detail: p.formula, description: p.description });
  for (const n of REWARD_NAMES.values()) items.push({ label: n.name, kind: 'name', detail: n.unit, description: n.description });
  for (const f of REWARD_FUNCTIONS.values())
    items.push({ label: f.name, kind: 'function', detail: f.signature, description: f.description });
  for (const [name, value] of Object.entries(constants))
    items.push({ label: name, kind: 'constant', detail: String(value), description: "A constant of this config's reward." });
  return { range, items };
}

/** What stands at `index`: a preset (where the text is nothing else), a name, a function or a constant. */
export function hoverAt(text: string, index: number, constants: Readonly<Record<string, number>> = {}): FormulaHover | undefined {
  const preset = REWARD_PRESETS.get(text.trim());
  if (preset) {
    const start = text.indexOf(preset.name);
    return {
      range: { start, end: start + preset.name.length },
      title: preset.formula,
      description: `${preset.description} (${preset.source})`,
    };
  }
  const range = wordAt(text, index, NAME_CHARACTER);
  const word = text.slice(range.start, range.end);
  const name = REWARD_NAMES.get(word);
  if (name) return { range, title: `${name.name} (${name.unit})`, description: name.description, name: word };
  const known = REWARD_FUNCTIONS.get(word);
  if (known) return { range, title: known.signature, description: known.description };
  if (Object.hasOwn(constants, word))
    return { range, title: `${word} = ${constants[word]}`, description: "A constant of this config's reward.", name: word };
  return undefined;
}
