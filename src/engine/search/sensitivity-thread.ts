/** Entry of a sensitivity scan's worker thread: scores its share of the samples for one unit after the other. */
import { parentPort, workerData } from 'node:worker_threads';
import { UserError } from '../errors';
import type { ScoringSet } from '../runtime/evaluate';
import { type SensitivityUnit, UnitScorer } from './sensitivity-unit';

export interface SensitivityThreadData {
  /** The normalised model's bytes. */
  readonly model: Uint8Array;
  readonly set: ScoringSet;
  readonly part: number;
  readonly of: number;
}
export interface SensitivityThreadRequest {
  readonly id: number;
  readonly unit: SensitivityUnit;
}
export type SensitivityThreadAnswer =
  | { readonly id: number; readonly right: readonly number[] }
  | {
      readonly id: number;
      readonly error: { readonly message: string; readonly hint?: string; readonly stack?: string; readonly user: boolean };
    };

const { model, set, part, of } = workerData as SensitivityThreadData;
const scorer = UnitScorer.fromBytes(model, set);
let last: Promise<void> = Promise.resolve();

parentPort!.on('message', ({ id, unit }: SensitivityThreadRequest) => {
  last = last.then(async () => {
    let answer: SensitivityThreadAnswer;
    try {
      answer = { id, right: await scorer.score(unit, { threads: 1, part, of }) };
    } catch (e) {
      const { message, stack } = e as Error;
      answer = { id, error: { message, stack, user: e instanceof UserError, hint: e instanceof UserError ? e.hint : undefined } };
    }
    parentPort!.postMessage(answer);
  });
});
