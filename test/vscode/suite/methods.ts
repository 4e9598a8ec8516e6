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

/** After which time without a run the palette is asked again, in milliseconds. */
const AGAIN = 20_000;

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

/**
 * Runs a command as a person does: by its title in the palette. On a busy machine the list comes after the key: then it is pressed again.
 * @param begun true once the command has done its work
 */
async function byPalette(title: string, begun: () => boolean): Promise<void> {
  for (let tries = 0; tries < 5; tries++) {
    await vscode.commands.executeCommand('workbench.action.quickOpen', `>Espalier: ${title}`);
    await pause(1200);
    await vscode.commands.executeCommand('workbench.action.acceptSelectedQuickOpenItem');
    const end = performance.now() + AGAIN;
    while (performance.now() < end) {
      if (begun()) return;
      await pause(100);
    }
  }
  throw new Error(`"${title}" was not run by the palette`);
}

async function runFromPalette(name: string): Promise<string> {
  const { runs } = await api();
  const file = inWorkspace(`${name}.espalier.json`);
  const config = smallConfig(name);
  assert.equal(typeof config.method === 'string' ? config.method : config.method?.name, name, 'the example is of this method');
  writeFileSync(file.fsPath, JSON.stringify(config, null, 2));
  await open(`${name}.espalier.json`);
  const ofConfig = () => runs.runs.filter((run) => run.configPath === file.fsPath);
  await byPalette('Run Compression Config', () => ofConfig().length > 0);
  const ended = await eventually(
    `run of ${name}`,
    () => ofConfig().find(({ status }) => status === 'finished' || status === 'failed'),
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
  assert.ok(names.length > 15, names.join());
  await runTests(Object.fromEntries(names.map((name) => [`${name}: its config runs from the palette`, () => runFromPalette(name)])));
};
