/** Rows of data sets: which use has which samples is decided by the config (`protocol/splits.ts`), and cut here. */
import type { Dataset, Split } from './dataset';

/** Rows [from, to) of a data set. */
export const rowsOf = (dataset: Dataset, from: number, to: number): Split => ({
  dataset,
  rows: Uint32Array.from({ length: to - from }, (_, i) => from + i),
});

/** All rows of a data set. */
export const wholeSplit = (dataset: Dataset): Split => rowsOf(dataset, 0, dataset.count);

/** The first `count` rows of a split (all where it has fewer): e.g. the images that a search scores on. */
export const firstRows = ({ dataset, rows }: Split, count: number): Split => ({ dataset, rows: rows.slice(0, count) });

/** Labels of a labelled split, in its order. */
export const labelsOf = ({ dataset, rows }: Split): Int32Array => Int32Array.from(rows, (r) => dataset.labels![r]);
