/**
 * The in-host suites in desktop VS Code: for machines that run.mjs does not serve (anything but Linux x64), and to try other versions.
 * Usage: node test/vscode/run-electron.mjs [--vscode VERSION] [--suite trusted|methods|untrusted|workerless]
 * @vscode/test-electron downloads VS Code, and is itself installed beside the other test packages where it is missing. ESPALIER_VSCODE names the
 * executable of an installed VS Code instead (the program itself, not its `code` script): then nothing is downloaded.
 */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { cache, fakePythonEnvironment, freshWorkspace, prepare } from './prepare.mjs';
import { removeFolder } from './remove-folder.mjs';
import { printResults } from './results.mjs';
import { SETTINGS, SUITES } from './settings.mjs';

const TEST_ELECTRON = '@vscode/test-electron@3.1.0';
const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..');
const { values: options } = parseArgs({ options: { vscode: { type: 'string' }, suite: { type: 'string' } } });
const chosen = options.suite ? [options.suite] : Object.keys(SUITES);
for (const suite of chosen) if (!SUITES[suite]) throw new Error(`there is no suite ${suite}; known: ${Object.keys(SUITES).join(', ')}`);

/** The executable of VS Code: one that is there, or one that is downloaded once. */
async function findEditor() {
  const given = process.env.ESPALIER_VSCODE;
  if (given) {
    if (!existsSync(given)) throw new Error(`ESPALIER_VSCODE: there is no file ${given}`);
    return given;
  }
  // Not among the other packages' pins: only these machines need it.
  const tools = join(cache, 'electron');
  mkdirSync(tools, { recursive: true });
  writeFileSync(join(tools, 'package.json'), '{ "private": true }\n');
  execFileSync('npm', ['install', '--no-save', '--no-audit', '--no-fund', TEST_ELECTRON], {
    cwd: tools,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  const { downloadAndUnzipVSCode } = await import(
    pathToFileURL(createRequire(join(tools, 'package.json')).resolve('@vscode/test-electron')).href
  );
  try {
    return await downloadAndUnzipVSCode({ cachePath: join(tools, 'vscode'), ...(options.vscode ? { version: options.vscode } : {}) });
  } catch (error) {
    throw new Error(`VS Code could not be downloaded (${error.message}). ESPALIER_VSCODE may name the executable of an installed one.`);
  }
}

/**
 * Starts VS Code and waits for its end. Not by `runTests` of @vscode/test-electron, which switches workspace trust off: the suite
 * `untrusted` is about it. Its other flags are the same.
 * @returns its exit code, or the signal that ended it
 */
function launch(editor, { folder, home, tests, env }) {
  const inherited = { ...process.env, ...env };
  // Set in the editor's own terminals, it would make plain Node of the editor.
  delete inherited.ELECTRON_RUN_AS_NODE;
  const child = spawn(
    editor,
    [
      folder,
      ...['--no-sandbox', '--disable-gpu-sandbox', '--disable-updates', '--skip-welcome', '--skip-release-notes', '--no-cached-data'],
      ...['--disable-extensions', '--user-data-dir', join(home, 'user'), '--extensions-dir', join(home, 'extensions')],
      ...[`--extensionDevelopmentPath=${root}`, `--extensionTestsPath=${tests}`],
    ],
    { env: inherited, stdio: ['ignore', process.env.ESPALIER_TEST_VERBOSE ? 'inherit' : 'ignore', 'inherit'] },
  );
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? signal));
  });
}

/** One suite in a fresh profile and workspace. @returns true where everything passed */
async function runSuite(editor, suite) {
  const home = mkdtempSync(join(tmpdir(), 'espalier-'));
  const user = join(home, 'user', 'User');
  mkdirSync(user, { recursive: true });
  writeFileSync(join(user, 'settings.json'), JSON.stringify({ ...SETTINGS, ...SUITES[suite].settings }));
  const folder = freshWorkspace();
  const results = join(home, 'results.json');
  const started = Date.now();
  try {
    const code = await launch(editor, {
      folder,
      home,
      tests: join(cache, 'suite', `${suite}.cjs`),
      env: { ESPALIER_SUITE_RESULTS: results, ...fakePythonEnvironment, ...SUITES[suite].env },
    });
    const tests = printResults(suite, results, Date.now() - started);
    if (!tests) console.log(`${suite}: no results; VS Code ended with ${code}`);
    return code === 0 && tests !== undefined && tests.every(({ ok }) => ok);
  } finally {
    for (const path of [folder, home]) await removeFolder(path);
  }
}

await prepare();
const editor = await findEditor();
for (const suite of chosen) if (!(await runSuite(editor, suite))) process.exitCode = 1;
