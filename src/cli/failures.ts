/** How errors leave the command line: people get a sentence and the next step, bugs get a stack and where to report it. */
import { UserError } from '../engine/errors';
import { type ConfigProblem, problemText } from '../protocol/config-file';
import { ExitCode } from './exit-codes';

const ISSUES = 'https://github.com/espalier/espalier/issues';

/** A config file that is wrong: every problem, each on its own line. */
export class ConfigError extends Error {
  constructor(
    readonly file: string,
    readonly problems: readonly ConfigProblem[],
  ) {
    super(problems.map((p) => problemText(p, file)).join('\n'));
    this.name = 'ConfigError';
  }
}

/** Work that was stopped from outside; `resume` says how to go on, where that is possible. */
export class Interrupted extends Error {
  constructor(
    readonly signal: NodeJS.Signals,
    readonly resume?: string,
  ) {
    super('stopped');
    this.name = 'Interrupted';
  }
}

/** Writes an error to standard error (with `json`, as one JSON line on standard output too) and returns the exit code. */
export function reportFailure(error: unknown, json: boolean): number {
  const say = (text: string): void => {
    process.stderr.write(`${text}\n`);
  };
  const asJson = (value: Readonly<Record<string, unknown>>): void => {
    if (json) process.stdout.write(`${JSON.stringify({ type: 'error', ...value })}\n`);
  };
  if (error instanceof Interrupted) {
    say(error.resume ? `Stopped. Go on with: ${error.resume}` : 'Stopped.');
    asJson({ kind: 'interrupted', message: 'stopped', resume: error.resume });
    return error.signal === 'SIGTERM' ? ExitCode.terminated : ExitCode.interrupted;
  }
  if (error instanceof ConfigError) {
    for (const p of error.problems) say(problemText(p, error.file));
    asJson({ kind: 'config', file: error.file, problems: error.problems });
    return ExitCode.userError;
  }
  if (error instanceof UserError) {
    say(`espalier: ${error.message}`);
    if (error.hint) say(`  ${error.hint}`);
    asJson({ kind: 'user', message: error.message, hint: error.hint });
    return ExitCode.userError;
  }
  const stack = error instanceof Error ? (error.stack ?? error.message) : String(error);
  say(`espalier: this is a bug of Espalier\n${stack}\nPlease report it, with what you did: ${ISSUES}`);
  asJson({ kind: 'bug', message: error instanceof Error ? error.message : String(error), stack });
  return ExitCode.bug;
}
