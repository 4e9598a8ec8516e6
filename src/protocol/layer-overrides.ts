/** The config's `layers`: which override holds for a layer or group. */
import type { LayerOverride } from './config';

/** True where `pattern`, in which '*' stands for any characters (also none), is the whole of `name`. */
export function matchesGlob(pattern: string, name: string): boolean {
  const parts = pattern.split('*');
  if (parts.length === 1) return pattern === name;
  const last = parts[parts.length - 1];
  if (!name.startsWith(parts[0])) return false;
  // Each middle part at its first place leaves the most room for the next, so no backtracking is needed.
  let at = parts[0].length;
  for (const part of parts.slice(1, -1)) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return name.length - last.length >= at && name.endsWith(last);
}

/**
 * The override for a layer or group that goes by any of `names` (group id, layer names, node names), or undefined where none matches.
 * Where several patterns match, the later one wins field by field; a fixed ratio or fixed bits replace earlier bounds, and bounds an earlier fixed value.
 */
export function overrideFor(layers: Readonly<Record<string, LayerOverride>>, names: readonly string[]): LayerOverride | undefined {
  let merged: LayerOverride | undefined;
  for (const [pattern, override] of Object.entries(layers)) {
    if (!names.some((name) => matchesGlob(pattern, name))) continue;
    const earlier: LayerOverride = { ...(merged ?? { skip: false }) };
    if (override.ratio !== undefined) {
      delete earlier.minRatio;
      delete earlier.maxRatio;
    }
    if (override.minRatio !== undefined || override.maxRatio !== undefined) delete earlier.ratio;
    if (override.bits !== undefined) {
      delete earlier.minBits;
      delete earlier.maxBits;
    }
    if (override.minBits !== undefined || override.maxBits !== undefined) delete earlier.bits;
    merged = { ...earlier, ...override };
  }
  return merged;
}

/** Patterns that match nothing: probably mistyped, and worth a warning. `names` holds every name of the model. */
export function unmatchedPatterns(layers: Readonly<Record<string, LayerOverride>>, names: readonly string[]): string[] {
  return Object.keys(layers).filter((pattern) => !names.some((name) => matchesGlob(pattern, name)));
}
