/** Places inside the formulas of a config: from the file's characters to the formula's, and back. */
import { type FormulaSite, formulasIn, parseConfigText } from '../../protocol/config-file';
import { completionsAt, type FormulaCompletion, type FormulaHover, hoverAt } from '../../protocol/reward/assist';

/** Characters of the file, from 0. */
export interface FileRange {
  readonly start: number;
  readonly end: number;
}

/** The formula that holds an offset of the file, and the place in it; undefined outside formulas. */
export function formulaAt(text: string, offset: number): { readonly site: FormulaSite; readonly index: number } | undefined {
  for (const site of formulasIn(text)) {
    const { offsets } = site;
    if (offset < offsets[0] || offset > offsets[offsets.length - 1]) continue;
    // The first character that is not before the offset; escapes take several characters of the file.
    return { site, index: offsets.findIndex((at) => at >= offset) };
  }
  return undefined;
}

const fileRange = ({ offsets }: FormulaSite, range: FileRange): FileRange => ({ start: offsets[range.start], end: offsets[range.end] });

/** The config's own constants, also while it is broken elsewhere. */
export function constantsIn(text: string): Record<string, number> {
  const { config } = parseConfigText(text);
  if (config) return config.reward.constants;
  const constants: Record<string, number> = {};
  // A formula that is being written breaks the config, and then is when its constants are wanted.
  const block = /"constants"\s*:\s*\{([^}]*)\}/.exec(text)?.[1] ?? '';
  for (const [, name, value] of block.matchAll(/"(\w+)"\s*:\s*(-?[\d.]+(?:[eE][-+]?\d+)?)/g))
    if (Number.isFinite(Number(value))) constants[name] = Number(value);
  return constants;
}

export function formulaCompletions(
  text: string,
  offset: number,
): { readonly range: FileRange; readonly items: readonly FormulaCompletion[] } | undefined {
  const place = formulaAt(text, offset);
  if (!place) return undefined;
  const { range, items } = completionsAt(place.site.text, place.index, constantsIn(text));
  return { range: fileRange(place.site, range), items };
}

export interface PlacedHover extends Omit<FormulaHover, 'range'> {
  readonly range: FileRange;
  readonly stage: 'prune' | 'quantize' | 'both';
}

export function formulaHover(text: string, offset: number): PlacedHover | undefined {
  const place = formulaAt(text, offset);
  const hover = place && hoverAt(place.site.text, place.index, constantsIn(text));
  return place && hover ? { ...hover, range: fileRange(place.site, hover.range), stage: stageOf(place.site) } : undefined;
}

/** Which stage a formula pays. */
export function stageOf({ path }: FormulaSite): 'prune' | 'quantize' | 'both' {
  const last = path[path.length - 1];
  return last === 'prune' || last === 'quantize' ? last : 'both';
}
