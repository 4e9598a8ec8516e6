/** What a candidate is compared with. A file of its own, so that reading it loads no schema. */
import type { Candidate, OriginalFigures } from './policy';
import type { RunSummary } from './run-summary';

/** The original measured in the same way: a final candidate's own, on the report images; of any other the run's, on the search images. */
export function originalOf(run: Pick<RunSummary, 'original'>, candidate: Candidate | undefined): OriginalFigures | undefined {
  return candidate?.original ?? run.original;
}
