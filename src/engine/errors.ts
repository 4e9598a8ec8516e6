/**
 * An error a person can act on: bad input, a file that is not what it seems, a setting that cannot work.
 * `message` is one clear sentence naming the file, field, layer or node; `hint` is the next step.
 * Anything else that is thrown is a bug of ours.
 */
export class UserError extends Error {
  readonly hint?: string;

  constructor(message: string, hint?: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'UserError';
    this.hint = hint;
  }
}
