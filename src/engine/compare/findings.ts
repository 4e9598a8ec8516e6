/** What the table of a comparison shows only to who looks for it: methods that end alike, and scorings that are not whole policies. */
import type { CellResult } from './cell';
import { spread } from './summary';

/**
 * Sentences in Markdown, none where there is nothing of the kind.
 * @param results of one comparison; methods without a seed in common are not held against each other
 */
export function findings(results: readonly CellResult[]): string[] {
  return [...alike(results), ...partial(results)];
}

/** Why a search is not better than another one: both found the same. */
function alike(results: readonly CellResult[]): string[] {
  const ends = new Map<string, CellResult[]>();
  for (const method of namesOf(results)) {
    const own = results.filter((r) => r.method === method).sort((a, b) => a.seed - b.seed);
    const end = own.map((r) => [r.seed, r.accuracy, r.effectiveFlops, r.effectiveParams].join(' ')).join('; ');
    ends.set(end, [...(ends.get(end) ?? []), ...own]);
  }
  return [...ends.values()].flatMap((cells) => {
    const names = namesOf(cells);
    if (names.length < 2) return [];
    const searched = cells.filter((c) => c.completePolicies > 1).map((c) => c.completePolicies);
    const { low, high } = spread(searched.length > 0 ? searched : [1]);
    const tried = low === high ? low : `${low}–${high}`;
    const why = searched.length > 0 ? `: of the ${tried} policies that each search tried, the same one was the best` : '';
    return [`${listed(names)} end with the same accuracy, MACs and parameters in every seed${why}.`];
  });
}

/** Why a search that looks at every step has tried few policies. */
function partial(results: readonly CellResult[]): string[] {
  return namesOf(results).flatMap((method) => {
    const own = results.filter((r) => r.method === method);
    const scorings = spread(own.map((r) => r.scorings)).median;
    const whole = spread(own.map((r) => r.completePolicies)).median;
    return 2 * whole < scorings
      ? [`${listed([method])} scores after every step, partial policies too; whole policies among its ${scorings} scorings: ${whole}.`]
      : [];
  });
}

const namesOf = (results: readonly CellResult[]): string[] => [...new Set(results.map((r) => r.method))];

function listed(names: readonly string[]): string {
  const quoted = names.map((n) => `\`${n}\``);
  return quoted.length < 2 ? quoted.join('') : `${quoted.slice(0, -1).join(', ')} and ${quoted.at(-1)}`;
}
