/** Classes that data names in words: numbered in the order of their names, as PyTorch's ImageFolder, Keras and scikit-learn do. */
import type { Dataset } from './dataset';

/** Numbers for names, and the names by number. Names that are whole numbers from 0 are those numbers. */
export function numbered(names: readonly string[]): { labels: Int32Array; classes: number; classNames?: readonly string[] } {
  if (names.every((n) => /^\d{1,6}$/.test(n))) {
    const labels = Int32Array.from(names, Number);
    return { labels, classes: labels.reduce((a, b) => Math.max(a, b), 0) + 1 };
  }
  const classNames = [...new Set(names)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
  const numbers = new Map(classNames.map((name, i) => [name, i]));
  return { labels: Int32Array.from(names, (n) => numbers.get(n)!), classes: classNames.length, classNames };
}

/** Two parts whose classes have names, with one numbering for both: a small part may lack some. */
export function withSharedClasses(a: Dataset, b: Dataset): [Dataset, Dataset] {
  if (!a.classNames || !b.classNames || !a.labels || !b.labels) return [a, b];
  const all = [...new Set([...a.classNames, ...b.classNames])].sort((x, y) => (x < y ? -1 : x > y ? 1 : 0));
  const numbers = new Map(all.map((name, i) => [name, i]));
  const renumbered = (d: Dataset): Dataset => ({
    ...d,
    labels: Int32Array.from(d.labels!, (l) => numbers.get(d.classNames![l])!),
    classes: all.length,
    classNames: all,
  });
  return [renumbered(a), renumbered(b)];
}
