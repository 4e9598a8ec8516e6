import type { Random } from '../random';
import type { Step, Transition } from './agent';

/** The newest `capacity` transitions, oldest overwritten first. Holds outcomes, not rewards: those are computed at use. */
export class Replay {
  private entries: Transition[] = [];
  private oldest = 0;

  constructor(readonly capacity: number) {}

  get size(): number {
    return this.entries.length;
  }

  push(transition: Transition): void {
    if (this.entries.length < this.capacity) this.entries.push(transition);
    else {
      this.entries[this.oldest] = transition;
      this.oldest = (this.oldest + 1) % this.capacity;
    }
  }

  /** Transition number `index` in order of arrival; 0 is the oldest still held. */
  at(index: number): Transition {
    return this.entries[(this.oldest + index) % this.entries.length];
  }

  /**
   * Up to `length` transitions of one actor's episode, from number `index` on in order of time;
   * fewer where the episode ends or has not gone further yet.
   */
  run(index: number, length: number): Transition[] {
    const run = [this.at(index)];
    for (let i = index + 1; i < this.size && run.length < length && !run[run.length - 1].done; i++) {
      if (this.at(i).actor === run[0].actor) run.push(this.at(i));
    }
    return run;
  }

  /** `count` draws with replacement from the newest `window` transitions (default: from all). Takes `count` draws of `random`, none while empty. */
  sample(count: number, random: Random, window = this.size): Transition[] {
    return this.sampleRuns(count, 1, random, window).map(([transition]) => transition);
  }

  /** The same draws, each with what followed it: runs of up to `length` transitions. */
  sampleRuns(count: number, length: number, random: Random, window = this.size): Transition[][] {
    const among = Math.min(window, this.size);
    if (among === 0) return [];
    return Array.from({ length: count }, () => this.run(this.size - among + random.below(among), length));
  }

  /** The transitions in order of arrival. */
  state(): Transition[] {
    return Array.from({ length: this.size }, (_, i) => this.at(i));
  }

  restore(transitions: readonly Transition[]): void {
    this.entries = transitions.slice(-this.capacity);
    this.oldest = 0;
  }
}

/** The step after a transition; after a last one a stand-in, whose value is multiplied by 1 − done = 0. */
export const stepAfter = ({ next, observation, bounds }: Transition): Step => next ?? { observation, bounds };
