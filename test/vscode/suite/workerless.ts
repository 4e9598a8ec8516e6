/** In an installation whose worker cannot start: commands are there and say why, and what needs no worker works. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import * as vscode from 'vscode';
import { runTests } from './runner';
import { api, diagnostics, extension, inWorkspace, lenses, open } from './workspace';

export const run = (): Promise<void> =>
  runTests({
    'every declared command is registered': async () => {
      await api();
      const registered = new Set(await vscode.commands.getCommands(true));
      const { contributes } = extension().packageJSON as { contributes: { commands: { command: string }[] } };
      assert.deepEqual(
        contributes.commands.map(({ command }) => command).filter((command) => !registered.has(command)),
        [],
      );
    },

    'what needs the worker fails with a sentence, as often as it is tried': async () => {
      const { worker } = await api();
      for (let tries = 0; tries < 2; tries++)
        await assert.rejects(
          worker.request('inspectModel', { path: inWorkspace('small.onnx').fsPath }),
          /worker process ended \(exit code 1\)/,
        );
      assert.equal(worker.pid, undefined);
    },

    'commands come back, and nothing is begun': async () => {
      const { runs } = await api();
      await vscode.commands.executeCommand('espalier.runConfig', inWorkspace('long.espalier.json'));
      await vscode.commands.executeCommand('espalier.openModelGraph', inWorkspace('small.onnx'));
      assert.deepEqual(runs.runs, []);
      assert.equal(existsSync(inWorkspace('.espalier').fsPath), false);
      assert.match(await vscode.commands.executeCommand<string>('espalier.copyDiagnostics'), /espalier/i);
    },

    'lenses and config files work': async () => {
      assert.equal((await lenses(await open('train.py'))).length, 2);
      await diagnostics(await open('broken.espalier.json'), 2);
    },
  });
