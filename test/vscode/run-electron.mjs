/**
 * The in-host suite in desktop VS Code, which @vscode/test-electron downloads: for machines that run.mjs does not serve (anything but Linux x64).
 * Usage: node test/vscode/run-electron.mjs [--vscode VERSION]. Installs @vscode/test-electron beside the other test packages where it is missing.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { cache, fakePython, freshWorkspace, prepare } from './prepare.mjs';

const TEST_ELECTRON = '@vscode/test-electron@3.1.0';
const here = dirname(fileURLToPath(import.meta.url));
const root = join(here, '..', '..');
const { values: options } = parseArgs({ options: { vscode: { type: 'string' } } });

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

const SETTINGS = {
  'security.workspace.trust.enabled': false,
  'workbench.startupEditor': 'none',
  'chat.disableAIFeatures': true,
  'telemetry.telemetryLevel': 'off',
};
const user = mkdtempSync(join(tmpdir(), 'espalier-user-'));
mkdirSync(join(user, 'User'), { recursive: true });
writeFileSync(join(user, 'User', 'settings.json'), JSON.stringify(SETTINGS));
const folder = freshWorkspace();
try {
  await runTests({
    ...(options.vscode ? { version: options.vscode } : {}),
    extensionDevelopmentPath: root,
    extensionTestsPath: join(cache, 'suite', 'trusted.cjs'),
    launchArgs: [folder, '--disable-extensions', '--user-data-dir', user],
    extensionTestsEnv: { ESPALIER_FAKE_PYTHON: fakePython },
  });
} catch (error) {
  console.error(String(error));
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  rmSync(user, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
}
