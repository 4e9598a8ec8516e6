/**
 * The in-host suites in desktop VS Code, which @vscode/test-electron downloads: for machines that run.mjs does not serve (anything but Linux x64).
 * Usage: node test/vscode/run-electron.mjs [--vscode VERSION] [--suite trusted|untrusted]. Installs @vscode/test-electron beside the other test packages where it is missing.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { cache, fakePython, freshWorkspace, prepare } from './prepare.mjs';
import { SETTINGS, SUITES } from './settings.mjs';

const TEST_ELECTRON = '@vscode/test-electron@3.1.0';
const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..');
const { values: options } = parseArgs({ options: { vscode: { type: 'string' }, suite: { type: 'string' } } });
const chosen = options.suite ? [options.suite] : Object.keys(SUITES);
for (const suite of chosen) if (!SUITES[suite]) throw new Error(`there is no suite ${suite}; known: ${Object.keys(SUITES).join(', ')}`);

await prepare();
// Not among the other packages' pins: only these machines need it.
const tools = join(cache, 'electron');
mkdirSync(tools, { recursive: true });
writeFileSync(join(tools, 'package.json'), '{ "private": true }\n');
execFileSync('npm', ['install', '--no-save', '--no-audit', '--no-fund', TEST_ELECTRON], {
  cwd: tools,
  stdio: 'inherit',
  shell: process.platform === 'win32',
});
const { runTests } = await import(pathToFileURL(createRequire(join(tools, 'package.json')).resolve('@vscode/test-electron')).href);

/** One suite in a fresh profile and workspace. @returns true where everything passed */
async function runSuite(suite) {
  const user = mkdtempSync(join(tmpdir(), 'espalier-user-'));
  mkdirSync(join(user, 'User'), { recursive: true });
  writeFileSync(join(user, 'User', 'settings.json'), JSON.stringify({ ...SETTINGS, ...SUITES[suite] }));
  const folder = freshWorkspace();
  console.log(`suite ${suite}`);
  try {
    await runTests({
      ...(options.vscode ? { version: options.vscode } : {}),
      extensionDevelopmentPath: root,
      extensionTestsPath: join(cache, 'suite', `${suite}.cjs`),
      launchArgs: [folder, '--disable-extensions', '--user-data-dir', user],
      extensionTestsEnv: { ESPALIER_FAKE_PYTHON: fakePython },
    });
    return true;
  } catch (error) {
    console.error(`${suite}: ${error}`);
    return false;
  } finally {
    for (const path of [folder, user]) rmSync(path, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

for (const suite of chosen) if (!(await runSuite(suite))) process.exitCode = 1;
