/** Why a run is ended before its end: the reason that its signal is aborted with, and what the journal says of it. */

/** Reason of a signal where no person asked for the stop. Any other reason is taken as a person's wish. */
export class RunStopped extends Error {
  /** @param message why, in words for the journal: 'the window was closed' */
  constructor(message: string) {
    super(message);
    this.name = 'RunStopped';
  }
}

/** Reason of a signal where a person ends the run for good, where other wishes pause it. */
export class RunEnded extends Error {
  constructor() {
    super('ended by the user');
    this.name = 'RunEnded';
  }
}

export interface Interruption {
  readonly type: 'interrupted';
  readonly reason: string;
  /** True where a person asked for it: the run is paused or ended, not broken off. */
  readonly asked: boolean;
  /** True where that person is done with the run: its best so far is its result. */
  readonly ended?: boolean;
}

/** The journal's last event of a run whose signal was aborted. */
export function interruptionOf({ reason }: AbortSignal): Interruption {
  if (reason instanceof RunStopped) return { type: 'interrupted', reason: reason.message, asked: false };
  if (reason instanceof RunEnded) return { type: 'interrupted', reason: reason.message, asked: true, ended: true };
  return { type: 'interrupted', reason: 'stopped by the user', asked: true };
}
