/** In an untrusted workspace: models are viewed, nothing is run. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import * as vscode from 'vscode';
import { eventually, runTests } from './runner';
import { api, diagnostics, inWorkspace, lenses, open } from './workspace';

export const run = (): Promise<void> =>
  runTests({
    'the workspace is not trusted, and the extension is there': async () => {
      assert.equal(vscode.workspace.isTrusted, false);
      await api();
    },

    'lenses and config files work': async () => {
      assert.equal((await lenses(await open('train.py'))).length, 2);
      await diagnostics(await open('broken.espalier.json'), 2);
    },

    'a model is viewed': async () => {
      const { panels } = await api();
      await vscode.commands.executeCommand('vscode.open', inWorkspace('small.onnx'));
      const graph = await eventually('graph', () => panels.active?.layerGraph ?? undefined);
      assert.equal(graph.nodes.length, 6);
    },

    'nothing is run': async () => {
      const { runs } = await api();
      await vscode.commands.executeCommand('espalier.runConfig', inWorkspace('net.espalier.json'));
      await vscode.commands.executeCommand('espalier.compressModel', inWorkspace('small.onnx'));
      await vscode.commands.executeCommand('espalier.analyzeSensitivity', {
        file: inWorkspace('train.py').fsPath,
        kind: 'torch-module',
        name: 'Net',
      });
      assert.deepEqual(runs.runs, []);
      assert.equal(existsSync(inWorkspace('.espalier').fsPath), false);
      assert.equal(existsSync(inWorkspace('net.onnx').fsPath), false);
    },
  });
