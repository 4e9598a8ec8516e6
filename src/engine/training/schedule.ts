/** Learning rates over time. */

export type ScheduleOptions =
  | { readonly kind: 'constant' }
  /** Half a cosine from the base rate to `final` (default 0) of it over the whole training (Loshchilov, Hutter 2017, without restarts). */
  | { readonly kind: 'cosine'; readonly final?: number }
  /** base · factor^epoch, per whole epoch; the paper's is 0.99. */
  | { readonly kind: 'exponential'; readonly factor: number }
  /** Multiplied by `factor` at each of these epochs (from 0). */
  | { readonly kind: 'milestones'; readonly epochs: readonly number[]; readonly factor: number };

export interface LearningRateOptions {
  /** > 0. */
  readonly base: number;
  readonly schedule?: ScheduleOptions;
  /** Epochs (fractions count) over which the rate rises linearly from 0 to what the schedule gives; default 0. */
  readonly warmUpEpochs?: number;
}

/** Learning rate of a step: `epoch` from 0, `step` within the epoch from 0. */
export type LearningRate = (position: { epoch: number; step: number; stepsPerEpoch: number; epochs: number }) => number;

/** @throws RangeError where the base rate is not above 0 */
export function learningRate({ base, schedule = { kind: 'constant' }, warmUpEpochs = 0 }: LearningRateOptions): LearningRate {
  if (!(base > 0)) throw new RangeError(`the learning rate must be above 0, not ${base}`);
  return ({ epoch, step, stepsPerEpoch, epochs }) => {
    const done = epoch + step / stepsPerEpoch;
    // The first step of a warm-up already moves: its end counts.
    const warm = warmUpEpochs > 0 ? Math.min(1, (done + 1 / stepsPerEpoch) / warmUpEpochs) : 1;
    return base * warm * factorAt(schedule, epoch, done / epochs);
  };
}

function factorAt(schedule: ScheduleOptions, epoch: number, progress: number): number {
  switch (schedule.kind) {
    case 'constant':
      return 1;
    case 'cosine': {
      const final = schedule.final ?? 0;
      return final + ((1 - final) * (1 + Math.cos(Math.PI * progress))) / 2;
    }
    case 'exponential':
      return schedule.factor ** epoch;
    case 'milestones':
      return schedule.factor ** schedule.epochs.filter((e) => epoch >= e).length;
  }
}
