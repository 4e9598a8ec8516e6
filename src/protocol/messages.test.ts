import { PassThrough } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { createMessageConnection, ResponseError, StreamMessageReader, StreamMessageWriter } from 'vscode-jsonrpc/node';
import * as messages from './messages';
import { hostToPanelSchema, panelToHostSchema, readMessage } from './panel-messages';

describe('web view messages', () => {
  it.each([
    [{ type: 'ready' }],
    [{ type: 'setOverride', id: 1, name: 'conv1', override: { ratio: 0.5 } }],
    [{ type: 'setOverride', id: 1, name: 'conv1', override: null }],
    [{ type: 'requestSensitivity', id: 2, groups: ['conv1'], layers: [] }],
    [{ type: 'stateChanged', state: { expanded: ['layer1'], zoom: 1, x: 0, y: 0 } }],
  ])('takes %o', (message) => expect(readMessage(panelToHostSchema, message)).toEqual({ message }));

  it.each([
    [{ type: 'runAnything' }],
    [{ type: 'setOverride', id: 1, name: 'conv1', override: { ratio: 2 } }],
    [{ type: 'setOverride', id: 1, name: 'conv1', override: { path: '/etc' } }],
    [{ type: 'setOverride', name: 'conv1', override: null }],
    [{ type: 'openSource', file: 'a.py', line: 0 }],
    [null],
    ['ready'],
  ])('refuses %o, with a reason', (message) => {
    const reading = readMessage(panelToHostSchema, message);
    expect('problem' in reading && reading.problem.length).toBeGreaterThan(0);
  });

  it('a response may carry an error', () => {
    const message = { type: 'response', id: 3, error: { message: 'no such run', hint: 'refresh' } };
    expect(readMessage(hostToPanelSchema, message)).toEqual({ message });
  });
});

describe('worker messages', () => {
  it('have each their own method name', () => {
    const names = Object.values(messages).flatMap((m) => (typeof m === 'object' && 'method' in m ? [m.method] : []));
    expect(names).toHaveLength(20);
    expect(new Set(names).size).toBe(names.length);
    for (const name of names) expect(name).toMatch(/^espalier\//);
  });

  it('carry parameters, results and errors over a connection', async () => {
    const [there, back] = [new PassThrough(), new PassThrough()];
    const host = createMessageConnection(new StreamMessageReader(back), new StreamMessageWriter(there));
    const worker = createMessageConnection(new StreamMessageReader(there), new StreamMessageWriter(back));
    worker.onRequest(messages.listRuns, () => []);
    worker.onRequest(messages.stopRun, ({ folder }) => {
      throw new ResponseError<messages.UserErrorData>(messages.USER_ERROR_CODE, `no run in ${folder}`, { kind: 'user', hint: 'refresh' });
    });
    host.listen();
    worker.listen();
    try {
      expect(await host.sendRequest(messages.listRuns, { folders: ['runs'] })).toEqual([]);
      await expect(host.sendRequest(messages.stopRun, { folder: 'x' })).rejects.toMatchObject({
        code: messages.USER_ERROR_CODE,
        message: 'no run in x',
        data: { kind: 'user', hint: 'refresh' },
      });
    } finally {
      host.dispose();
      worker.dispose();
    }
  });
});
