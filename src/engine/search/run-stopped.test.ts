import { expect, test } from 'vitest';
import { interruptionOf, RunEnded, RunStopped } from './run-stopped';

const aborted = (reason: unknown): AbortSignal => {
  const controller = new AbortController();
  controller.abort(reason);
  return controller.signal;
};

test('a stop that nobody asked for says why', () => {
  expect(interruptionOf(aborted(new RunStopped('the window was closed')))).toEqual({
    type: 'interrupted',
    reason: 'the window was closed',
    asked: false,
  });
});

test('a run that a person is done with is ended, not paused', () => {
  expect(interruptionOf(aborted(new RunEnded()))).toEqual({ type: 'interrupted', reason: 'ended by the user', asked: true, ended: true });
});

test('any other stop is a wish of the person who runs it', () => {
  for (const reason of [undefined, new Error('stopped')])
    expect(interruptionOf(aborted(reason))).toEqual({ type: 'interrupted', reason: 'stopped by the user', asked: true });
});
