/** Every method's example config, made small, from the command palette to its end. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as vscode from 'vscode';
import type { ConfigInput } from '../../../src/protocol/config';
import { eventually, pause, runTests } from './runner';
import { api, extension, inWorkspace, open } from './workspace';

/** What is small in every config; each keeps its method, options, goal and stages. */
const SMALL: Partial<ConfigInput> = {
  model: 'small.onnx',
  data: { name: 'digits', digits: { train: 300, test: 200 } },
  search: { episodes: 8, scorings: 12, images: 100, actors: 1 },
  pruning: { calibrationImages: 60, final: { calibrationImages: 60 } },
  recovery: { epochs: 1 },
};

/** What an example asks of a larger network than this one can give. */
const OPTIONS: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  'lottery-mdp': { sparsity: 0.3, steps: 10 },
};

const inExtension = (...path: string[]): string => join(extension().extensionPath, ...path);

/** Names as `espalier methods` lists them. */
function methodNames(): string[] {
  const output = execFileSync(process.execPath, [inExtension('dist', 'cli.js'), 'methods', '--json'], {
    env: { ...process.env, ELECTRON_RUN_AS_NODE: '1' },
    encoding: 'utf8',
  });
  return output
    .trim()
    .split('\n')
    .map((line) => (JSON.parse(line) as { name: string }).name);
}

function smallConfig(name: string): ConfigInput {
  const example = JSON.parse(readFileSync(inExtension('docs', 'examples', `${name}.espalier.json`), 'utf8')) as ConfigInput;
  const { train: _, quantization, ...rest } = example;
  const options = OPTIONS[name];
  return {
    ...rest,
    ...SMALL,
    ...(quantization ? { quantization: { ...quantization, epochs: 0 } } : {}),
    ...(options ? { method: { name: name as 'lottery-mdp', options } } : {}),
  } as ConfigInput;
}

/** Runs a command as a person does: by its title in the palette. */
async function byPalette(title: string): Promise<void> {
  await vscode.commands.executeCommand('workbench.action.quickOpen', `>Espalier: ${title}`);
  await pause(1200);
  await vscode.commands.executeCommand('workbench.action.acceptSelectedQuickOpenItem');
}

async function runFromPalette(name: string): Promise<string> {
  const { runs } = await api();
  const file = inWorkspace(`${name}.espalier.json`);
  const config = smallConfig(name);
  assert.equal(typeof config.method === 'string' ? config.method : config.method?.name, name, 'the example is of this method');
  writeFileSync(file.fsPath, JSON.stringify(config, null, 2));
  await open(`${name}.espalier.json`);
  await byPalette('Run Compression Config');
  const ended = await eventually(
    `run of ${name}`,
    () => runs.runs.find((run) => run.configPath === file.fsPath && (run.status === 'finished' || run.status === 'failed')),
    400,
  );
  assert.equal(ended.status, 'finished', ended.reason);
  assert.equal(ended.method, name);
  assert.ok(ended.best, 'a result');
  for (const path of ['journal.jsonl', 'report.md', 'best']) assert.ok(existsSync(join(ended.folder, path)), path);
  const models = readdirSync(join(ended.folder, 'best')).filter((path) => /\.(onnx|esdc)$/.test(path));
  assert.ok(models.length > 0, 'the compressed network');
  await vscode.commands.executeCommand('workbench.action.closeAllEditors');
  return `${(ended.best.accuracy * 100).toFixed(1)} % accuracy, ${models.join(', ')}`;
}

export const run = async (): Promise<void> => {
  await api();
  const names = methodNames();
  await runTests({
    'the last of all methods is offered by Compress Model…, and written to the config': async () => {
      assert.ok(names.length > 15, names.join());
      const asked = vscode.commands.executeCommand('espalier.compressModel', inWorkspace('small.onnx'));
      const press = async (command: string): Promise<void> => {
        await pause(1200);
        await vscode.commands.executeCommand(`workbench.action.${command}`);
      };
      // Data and goal: the defaults. Method: up from the first is the last. Effort: the default. Then "write the config only".
      await press('acceptSelectedQuickOpenItem');
      await press('acceptSelectedQuickOpenItem');
      await press('quickOpenSelectPrevious');
      await press('acceptSelectedQuickOpenItem');
      await press('acceptSelectedQuickOpenItem');
      await press('quickOpenSelectNext');
      await press('acceptSelectedQuickOpenItem');
      await asked;
      const config = JSON.parse(readFileSync(inWorkspace('small.espalier.json').fsPath, 'utf8').replace(/^\/\/.*$/m, '')) as ConfigInput;
      assert.equal(config.method, names.at(-1));
      await vscode.commands.executeCommand('workbench.action.closeAllEditors');
    },
    ...Object.fromEntries(names.map((name) => [`${name}: its config runs from the palette`, () => runFromPalette(name)])),
  });
};
