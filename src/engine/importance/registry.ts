/** All channel criteria: one line each. */
import { bnScale } from './bn-scale';
import type { Criterion } from './criterion';
import { fpgm } from './fpgm';
import { l1 } from './l1';
import { l2 } from './l2';
import { random } from './random';

const all: readonly Criterion[] = [l1, l2, bnScale, fpgm, random];

export const criteria: ReadonlyMap<string, Criterion> = new Map(all.map((c) => [c.name, c]));

/** The `keep` channels with the highest scores, ascending; the lower index stays on a tie. */
export function highestChannels(scores: ArrayLike<number>, keep: number): number[] {
  return Array.from({ length: scores.length }, (_, i) => i)
    .sort((i, j) => scores[j] - scores[i] || i - j)
    .slice(0, keep)
    .sort((i, j) => i - j);
}
