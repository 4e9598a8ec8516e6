/** What a run is doing, on one line of standard error: in place on a terminal, otherwise a new line every few seconds. */
import { formatPercent } from '../engine/search/figures';
import { durationText } from '../protocol/duration';
import type { Candidate } from '../protocol/policy';
import type { Progress, RunEvent } from '../protocol/run-events';

/** Milliseconds between lines where the output is no terminal. */
const PLAIN_INTERVAL = 5000;

export class ProgressLine {
  private shown = false;
  private last = Number.NEGATIVE_INFINITY;
  private lastText = '';

  constructor(private readonly stream: NodeJS.WriteStream = process.stderr) {}

  /** Shows where the work is. @param important shown at once, also where the output is no terminal */
  show(text: string, important = false): void {
    const now = performance.now();
    if (this.stream.isTTY) {
      const width = Math.max(20, (this.stream.columns ?? 80) - 1);
      this.stream.write(`\r\u001b[2K${text.slice(0, width)}`);
      this.shown = true;
    } else if (text !== this.lastText && (important || now - this.last >= PLAIN_INTERVAL)) {
      this.stream.write(`${text}\n`);
      this.last = now;
      this.lastText = text;
    }
  }

  /** A line that stays, above the progress. */
  note(text: string): void {
    this.clear();
    this.stream.write(`${text}\n`);
  }

  clear(): void {
    if (this.shown) this.stream.write('\r\u001b[2K');
    this.shown = false;
  }
}

/** 'prune · episode 12/100 · best 84.1 % at 50.0 % of MACs · 3 min left'. */
export function progressText(progress: Progress, original?: Candidate): string {
  const { phase, episode, episodes, best, secondsLeft, secondsElapsed } = progress;
  const parts: string[] = [phase];
  if (episodes > 0) parts.push(`${phase === 'recover' ? 'epoch' : 'episode'} ${Math.min(episode, episodes)}/${episodes}`);
  if (best) {
    const size = original
      ? best.stage === 'prune'
        ? ` at ${formatPercent(best.cost.macs / Math.max(1, original.cost.macs), 1)} of MACs`
        : ` at ${formatPercent(best.cost.weightBytes / Math.max(1, original.cost.weightBytes), 1)} of the bytes`
      : '';
    parts.push(`best ${formatPercent(best.accuracy)}${size}`);
  }
  parts.push(secondsLeft === null ? `${durationText(secondsElapsed)} so far` : `${durationText(secondsLeft)} left in this phase`);
  return parts.join(' · ');
}

/** Shows the events of a run on a progress line. */
export function showRun(line: ProgressLine): (event: RunEvent) => void {
  let original: Candidate | undefined;
  return (event) => {
    switch (event.type) {
      case 'original':
        original = event.candidate;
        line.note(`original: ${formatPercent(event.candidate.accuracy)} of ${event.candidate.images} search samples`);
        break;
      case 'warning':
        line.note(`note: ${event.message}`);
        break;
      case 'progress':
        line.show(progressText(event.progress, original));
        break;
      case 'finished':
      case 'failed':
      case 'interrupted':
        line.clear();
        break;
    }
  };
}
