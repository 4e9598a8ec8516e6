/** "Did you mean …?": the known name closest to one that is not known. */

/** Edits (insert, delete, replace, swap of neighbours) that turn `a` into `b`: the restricted Damerau–Levenshtein distance. */
export function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, j) => j)];
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = rows[i - 1][j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      let best = Math.min(rows[i - 1][j] + 1, row[j - 1] + 1, replaced);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) best = Math.min(best, rows[i - 2][j - 2] + 1);
      row.push(best);
    }
    rows.push(row);
  }
  return rows[a.length][b.length];
}

/**
 * The known name nearest to `name`, or undefined where none is near (more than a third of its letters differ).
 * Case does not count: `Accuracy` suggests `accuracy`; and where nothing is near, three letters or more suggest a name that begins with them.
 */
export function nearestName(name: string, known: Iterable<string>): string | undefined {
  // A very long "name" is not a typing error, and the distance costs its length squared.
  if (name.length > 64) return undefined;
  const wanted = name.toLowerCase();
  const names = [...known];
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(name.length / 3)) + 1;
  for (const candidate of names) {
    const distance = editDistance(wanted, candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best ?? (wanted.length >= 3 ? names.find((candidate) => candidate.toLowerCase().startsWith(wanted)) : undefined);
}
