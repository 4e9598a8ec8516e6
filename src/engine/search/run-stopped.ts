/** Why a run is ended before its end: the reason that its signal is aborted with, and what the journal says of it. */

/** Reason of a signal where no person asked for the stop. Any other reason is taken as a person's wish. */
export class RunStopped extends Error {
  /** @param message why, in words for the journal: 'the window was closed' */
  constructor(message: string) {
    super(message);
    this.name = 'RunStopped';
  }
}

export interface Interruption {
  readonly type: 'interrupted';
  readonly reason: string;
  /** True where a person asked for it: the run is paused, not broken off. */
  readonly asked: boolean;
}

/** The journal's last event of a run whose signal was aborted. */
export function interruptionOf({ reason }: AbortSignal): Interruption {
  return reason instanceof RunStopped
    ? { type: 'interrupted', reason: reason.message, asked: false }
    : { type: 'interrupted', reason: 'stopped by the user', asked: true };
}
