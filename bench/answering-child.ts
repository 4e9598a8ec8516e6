/** A child process of a benchmark that answers one question at a time, started anew where it died or had to be stopped. */
import { type ChildProcess, fork } from 'node:child_process';

export interface ChildOptions<Answer> {
  /** Arguments of the benchmark program. */
  readonly args: readonly string[];
  readonly nodeOptions?: readonly string[];
  /** Milliseconds for an answer. */
  readonly timeLimit: number;
  /** The answer that stands for none: the process died, or had to be stopped. */
  readonly fault: (message: string) => Answer;
  /** What is wrong with a process that answered so, which then is stopped; undefined: nothing. */
  readonly judge?: (answer: Answer) => Answer | undefined;
}

/** Questions and answers are what Node's structured clone takes. */
export class AnsweringChild<Question extends number | object, Answer> {
  private process?: ChildProcess;

  constructor(private readonly options: ChildOptions<Answer>) {}

  ask(question: Question): Promise<Answer> {
    const { args, nodeOptions, timeLimit, fault, judge } = this.options;
    this.process ??= fork(process.argv[1], args, {
      ...(nodeOptions && { execArgv: [...nodeOptions] }),
      serialization: 'advanced',
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
    });
    const child = this.process;
    return new Promise((resolve) => {
      const finish = (answer: Answer, stop: boolean): void => {
        clearTimeout(timer);
        child.removeAllListeners();
        if (stop) this.stop();
        resolve(answer);
      };
      const timer = setTimeout(() => finish(fault(`took longer than ${timeLimit / 1000} s`), true), timeLimit);
      child.once('message', (answer: Answer) => {
        const wrong = judge?.(answer);
        finish(wrong ?? answer, wrong !== undefined);
      });
      child.once('exit', (code, signal) => finish(fault(`the process died (${signal ?? code})`), true));
      child.send(question);
    });
  }

  stop(): void {
    this.process?.kill('SIGKILL');
    this.process = undefined;
  }
}
