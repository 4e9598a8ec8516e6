/** What unit tests have in VS Code's place: texts in English, events and tokens. Whatever needs more of the editor is tested in the editor (test/vscode). */
export const l10n = {
  t: (message: string, ...values: ReadonlyArray<string | number | boolean>): string =>
    message.replace(/\{(\d+)\}/g, (whole, index) => String(values[Number(index)] ?? whole)),
};

export class EventEmitter<T> {
  private readonly listeners = new Set<(value: T) => void>();
  readonly event = (listener: (value: T) => void): { dispose(): void } => {
    this.listeners.add(listener);
    return { dispose: () => this.listeners.delete(listener) };
  };

  fire(value: T): void {
    for (const listener of [...this.listeners]) listener(value);
  }

  dispose(): void {
    this.listeners.clear();
  }
}

export class CancellationTokenSource {
  private readonly cancelled = new EventEmitter<void>();
  readonly token = { isCancellationRequested: false, onCancellationRequested: this.cancelled.event };

  cancel(): void {
    this.token.isCancellationRequested = true;
    this.cancelled.fire();
  }

  dispose(): void {
    this.cancelled.dispose();
  }
}

export class CancellationError extends Error {}

export enum LogLevel {
  Off,
  Trace,
  Debug,
  Info,
  Warning,
  Error,
}

/** A trusted window without a folder. */
export const workspace = { isTrusted: true, workspaceFolders: undefined };
